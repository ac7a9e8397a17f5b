"""The toolkit of one user, asked through its command line: one document in, no rule of its own."""

import json
import os


class Toolkit:
    """``rawr-install`` of the user that the module runs as; ``executable`` is None where there is none."""

    def __init__(self, module):
        self.module = module
        if module.check_mode:
            module.run_command_environ_update["PYTHONDONTWRITEBYTECODE"] = "1"
        self.home = os.path.expanduser("~")
        self.executable = module.get_bin_path("rawr-install", opt_dirs=[os.path.join(self.home, ".local/bin")])

    def ask(self, *words):
        """One call's document, whatever its verdict; a toolkit that prints none fails the task."""
        if self.executable is None:
            self.module.fail_json(msg=f"{self.home} has no rawr-install.", code="TOOLKIT_MISSING")
        code, out, err = self.module.run_command([self.executable, *words, "--json"], cwd=self.home)
        try:
            return json.loads(out)
        except ValueError:
            said = (err or out).strip()[-400:] or f"exit code {code}"
            self.module.fail_json(msg=f"{self.executable} gave no answer: {said}", code="TOOLKIT_BROKEN")

    def get(self, *words):
        """One call's data; a failure of the toolkit is the task's, with the toolkit's code and its remedies."""
        document = self.ask(*words)
        for warning in document.get("warnings", []):
            self.module.warn(warning)
        if not document["ok"]:
            error = document["error"]
            details = error.get("details", {})
            told = [f"{error['message']} [{error['code']}]"]
            told += [finding["summary"] for finding in details.get("findings", []) if finding["status"] == "fail"]
            told += [f"try: {details['remedy']['text']}"] if details.get("remedy") else []
            self.module.fail_json(msg="\n".join(told), code=error["code"], data=details)
        return document["data"]

    def login_path(self):
        """The PATH that the user's login shell has: an ssh command's own lacks what profiles add."""
        document = self.ask("doctor", "global", "--login-shell", "--check", "shell.login-differs")
        found = document["data"] if document["ok"] else document["error"].get("details", {})
        paths = [shell["path"] for shell in found.get("shells", []) if shell["name"] == "login"]
        return paths[0] if paths and paths[0] else os.environ.get("PATH", os.defpath)
