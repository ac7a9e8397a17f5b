// A second writer of .rawr/state/state.json: what the TypeScript programs do, written from the contract's words.
//
// Lock: exclusive create of state.lock, then write {"pid","acquiredAt"} and a line feed; on EEXIST poll every 25 ms for
// at most 5 s; a lock older than 60 s whose process is dead, or that cannot be read, is cleaned up by stat, read, unlink.
// State: read (anything unreadable counts as empty), change, temporary file, rename; no fsync. Release: unlink by path.
// The flaws are part of the protocol: nothing here checks that the lock is still its own. Do not mend them.
//
//   node peer.mjs enable ROOT '{"ids":["a","b"]}'             enable each id, one mutation each
//   node peer.mjs count  ROOT '{"slot":"p1","times":9}'       own one id "p1-<n>" and count it up, or "seconds" long
//   node peer.mjs hold   ROOT '{"ms":500}'                    take the lock, print "held", release after ms
//   node peer.mjs serve                                       one JSON command a line on stdin: {"verb","root",...}
//
// Options of every verb: think (ms between mutations), at (CLOCK_MONOTONIC seconds at which to begin), timeout (ms),
// stop (a point: SIGSTOP to itself there, once), crash (a point: SIGKILL to itself there).
// Points: created, published, judged, read, staged, renamed, closed. Output is JSON lines: {"event":"ready"|"held"|"stopped"} and
// at the end {"event":"done","acked","errors","waits","lost","seconds"}; waits are milliseconds.
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const POLL_MS = 25;
const TIMEOUT_MS = 5_000;
const STALE_MS = 60_000;

const say = (message) => writeSync(1, JSON.stringify(message) + "\n");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const clock = () => Number(process.hrtime.bigint()) / 1e6;

function point(name, options) {
  if (options.crash === name) process.kill(process.pid, "SIGKILL");
  if (options.stop !== name) return;
  delete options.stop;
  say({ event: "stopped", point: name });
  process.kill(process.pid, "SIGSTOP");
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

async function isStale(lock, options) {
  const info = await stat(lock);
  if (Date.now() - info.mtimeMs < STALE_MS) return false;
  let pid;
  try {
    pid = JSON.parse(await readFile(lock, "utf8")).pid;
  } catch {
    pid = undefined;
  }
  const stale = !Number.isInteger(pid) || !alive(pid);
  if (stale) point("judged", options);
  return stale;
}

async function acquire(lock, options) {
  const deadline = clock() + (options.timeout ?? TIMEOUT_MS);
  for (;;) {
    try {
      const handle = await open(lock, "wx");
      point("created", options);
      await handle.writeFile(JSON.stringify({ pid: process.pid, acquiredAt: new Date().toISOString() }) + "\n");
      point("published", options);
      return handle;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    try {
      if (await isStale(lock, options)) {
        await rm(lock, { force: true });
        continue;
      }
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
    if (clock() >= deadline) throw new Error("Timed out waiting for repo state lock");
    await sleep(POLL_MS);
  }
}

async function release(lock, handle, options) {
  await handle.close();
  point("closed", options);
  await rm(lock, { force: true });
}

function sorted(list) {
  const strings = Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
  return [...new Set(strings.map((item) => item.trim()).filter(Boolean))].sort();
}

async function readState(path) {
  try {
    const found = JSON.parse(await readFile(path, "utf8"));
    if (found.version !== 1) return { enabled: [], disabled: [] };
    return { enabled: sorted(found.plugins.enabled), disabled: sorted(found.plugins.disabled) };
  } catch {
    return { enabled: [], disabled: [] };
  }
}

async function writeState(path, { enabled, disabled }, options) {
  const off = disabled.length > 0 ? { disabled: sorted(disabled) } : {};
  const plugins = { enabled: sorted(enabled), ...off, lastUpdatedAt: new Date().toISOString() };
  const staged = `${path}.${process.pid}.${Date.now()}.tmp`;
  await writeFile(staged, JSON.stringify({ version: 1, plugins }, null, 2) + "\n");
  point("staged", options);
  await rename(staged, path);
  point("renamed", options);
}

async function mutate(root, change, options) {
  const folder = join(root, ".rawr", "state");
  await mkdir(folder, { recursive: true });
  const began = clock();
  const handle = await acquire(join(folder, "state.lock"), options);
  const waited = clock() - began;
  try {
    const state = await readState(join(folder, "state.json"));
    point("read", options);
    const changed = await change(state);
    if (changed) await writeState(join(folder, "state.json"), changed, options);
  } finally {
    await release(join(folder, "state.lock"), handle, options);
  }
  return waited;
}

const enable = (id) => ({ enabled, disabled }) => ({
  enabled: [...enabled, id],
  disabled: disabled.filter((item) => item !== id),
});

/** Run mutations one after the other and report; `steps` yields [name, change]. */
async function run(root, steps, options) {
  const report = { event: "done", acked: [], errors: [], waits: [], lost: 0, seconds: 0 };
  if (options.at) await sleep(Math.max(0, options.at * 1e3 - clock()));
  const began = clock();
  for (const [name, change] of steps(report, began)) {
    try {
      report.waits.push(await mutate(root, change, options));
      report.acked.push(name);
    } catch (error) {
      report.errors.push({ id: name, message: String(error.message) });
    }
    if (options.think) await sleep(options.think);
  }
  report.seconds = (clock() - began) / 1e3;
  return report;
}

function* enables(report, began, options) {
  for (const id of options.ids) yield [id, enable(id)];
}

/** One id "<slot>-<n>" is this process's counter: finding less than what was last acknowledged is a lost update. */
function* counts(report, began, options) {
  const mark = `${options.slot}-`;
  let known = options.from ?? 0;
  const more = (done) =>
    options.seconds ? clock() - began < options.seconds * 1e3 : done < options.times;
  for (let done = 0; more(done); done += 1) {
    let next = known;
    yield [
      done,
      ({ enabled, disabled }) => {
        const found = enabled.filter((id) => id.startsWith(mark)).map((id) => Number(id.slice(mark.length)));
        const now = Math.max(0, ...found);
        if (now < known) report.lost += 1; // more: an unacknowledged attempt of ours took effect
        next = now + 1;
        return { enabled: [...enabled.filter((id) => !id.startsWith(mark)), `${mark}${next}`], disabled };
      },
    ];
    if (report.errors.at(-1)?.id !== done) known = next;
  }
  report.final = known;
}

async function hold(root, options) {
  const report = { event: "done", acked: [], errors: [], waits: [], lost: 0, seconds: 0 };
  try {
    report.waits.push(
      await mutate(
        root,
        async (state) => {
          say({ event: "held", pid: process.pid });
          await sleep(options.ms ?? 3_600_000);
          return options.ids ? { ...state, enabled: [...state.enabled, ...options.ids] } : null;
        },
        options,
      ),
    );
    report.acked.push(...(options.ids ?? []));
  } catch (error) {
    report.errors.push({ id: "hold", message: String(error.message) });
  }
  return report;
}

const VERBS = {
  enable: (root, options) => run(root, (report, began) => enables(report, began, options), options),
  count: (root, options) => run(root, (report, began) => counts(report, began, options), options),
  hold,
};

const [verb, root, words] = process.argv.slice(2);
if (verb === "serve") {
  say({ event: "ready", pid: process.pid });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    say(await VERBS[command.verb](command.root, command));
  }
} else {
  const report = await VERBS[verb](root, JSON.parse(words ?? "{}"));
  say(report);
  process.exitCode = report.errors.length > 0 ? 1 : 0;
}
