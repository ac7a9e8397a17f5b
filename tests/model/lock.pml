/* The state lock (rawr_install/state), with the TypeScript programs that share it ("peers").
 *
 * One d_step is one system call with an effect that others see; the comment beside it names the function that makes it.
 * Between two steps everybody may be stopped, without bound, or be killed; inode numbers are used again at once.
 * test_model.py beside this file says which runs must be without an error, and which deliberate break each must find.
 *
 * What it leaves out: real time ("unchanged for two seconds" is "whoever is between two steps has taken the next one",
 * unless STALL), the two seconds' own look at a clock, symbolic links, threads and forks of one process, what a disk
 * keeps over a power cut, file systems without links or with torn reads. The tests of tests/state do those.
 *
 * Switches (0 or 1 unless said):
 *   NO, NT     processes of ours, peers       MAXC     most kills           ATT    attempts of ours (5 in the code)
 *   GHOST      what stands at state.lock at first: 0 nothing, 1 a dead peer's, 2 empty, its maker dead, 3 a dead one of ours
 *   GAGE       its age: 0 young, 1: 59 seconds, 2: 60 and more
 *   AGING      leases of the dead get old     HOLDOLD  those of the living too
 *   STALL      a peer may stop for two seconds between closing its lock and removing it
 *   SLOW       a peer may take more than the time to settle from its look to its removal
 *   DEGRADE    whoever queues may go on without the turn
 *   NOGUARD    the turn excludes nobody (guard deleted)
 *   ENVB       process 1 is on another kernel, the folder not local to it
 *   ENVC       process 1 is in another pid namespace
 *   MUT        0, or a deliberate break
 *   EXCUSE     flags that excuse a lost update
 *   P_WINDOW   we overwrite only what was written between our last look and our rename
 *   P_LEMMA    a commit that is confirmed has overwritten nothing
 *   P_EVICT    no lease of a living holder is removed for good by us
 *   P_RESTORE  no lease of ours whose holder has gone is given its name again
 */
#ifndef NO
#define NO 2
#endif
#ifndef NT
#define NT 1
#endif
#ifndef MAXC
#define MAXC 0
#endif
#ifndef ATT
#define ATT 2
#endif
#ifndef GHOST
#define GHOST 0
#endif
#ifndef GAGE
#define GAGE 2
#endif
#ifndef AGING
#define AGING 1
#endif
#ifndef HOLDOLD
#define HOLDOLD 0
#endif
#ifndef STALL
#define STALL 0
#endif
#ifndef SLOW
#define SLOW 0
#endif
#ifndef DEGRADE
#define DEGRADE 1
#endif
#ifndef NOGUARD
#define NOGUARD 0
#endif
#ifndef MUT
#define MUT 0
#endif
#ifndef EXCUSE
#define EXCUSE 0
#endif
#ifndef P_WINDOW
#define P_WINDOW 0
#endif
#ifndef P_LEMMA
#define P_LEMMA 0
#endif
#ifndef P_EVICT
#define P_EVICT 0
#endif
#ifndef P_RESTORE
#define P_RESTORE 0
#endif
#ifdef ENVB
#define KERNEL(p) ((p) == 1)
#else
#define KERNEL(p) 0
#endif
#ifdef ENVC
#define NAMESPACE(p) ((p) == 1)
#else
#define NAMESPACE(p) 0
#endif

#define NP (NO+NT)
#define GH NP            /* the ghost: dead from the start */
#define NI (NP+3)
#define FREE 15

/* What went wrong on the way, for EXCUSE: but for F_EVICT, of which no run may have any, the peers' protocol. */
#define F_CLEAN_PEER 1   /* a peer's clean-up removed a living peer's lock */
#define F_CLEAN_OURS 2   /* a peer's clean-up removed a living lease of ours */
#define F_RELEASE    4   /* a peer's release removed another's lock */
#define F_EVICT      8   /* we removed a living holder's lock for good */
#define F_CAUGHT    16   /* we renamed a living holder's lock caught, after a peer that was too slow */

byte name;               /* state.lock -> inode; 0: free */
byte own[NP+1];          /* the inode that p made and has open: our liveness lock, a peer's handle */
byte inside[NP+1];       /* the inode by which p believes to hold the lock */
byte pin[NP+1];          /* the descriptor of the lease that p inspects */
byte caught[NP+1];        /* state.lock.stale.<pid>.* -> inode */
byte iown[NI+1];         /* who made the inode */
bit  icomp[NI+1];        /* its record is written */
byte iage[NI+1];         /* by its time stamp: 0 young, 1: 59 s, 2: 60 s */
bit  itch[NI+1];         /* it was touched when it was old */
bit  alive[NP+1];
bit  chg[NP+1];          /* state.json was replaced since p read it */
bit  win[NP+1];          /* one of ours between its checks and its rename */
bit  late[NP+1];         /* it was replaced in that time */
bit  infl[NP+1];         /* a peer between its look at an old lock and its removal */
bit  hold[NP+1];         /* p has locked the inode that it takes away */
bit  eye[NP+1];          /* one of ours between its look and its touch: no minute passes meanwhile */
byte guard;              /* 0 free, else p+1 */
byte st, acked, flags, crashes;
byte gi, gp;
bit gused;

#define OURS(o)        ((o) < NO || ((o) == GH && GHOST == 3))
#define FOREIGN(p,o)   (KERNEL(p) != KERNEL(o))
#define LOCAL(p)       (!KERNEL(p))
#define LIVEIN(j)      (alive[iown[j]] && inside[iown[j]] == (j))
#define PIDGONE(p,o)   (!alive[o] || NAMESPACE(p) != NAMESPACE(o) || FOREIGN(p,o))
#define SEENOPEN(p,j)  (own[iown[j]] == (j) && !FOREIGN(p,iown[j]))
#define STEADY(j)      (STALL || !LIVEIN(j))                           /* a holder would have taken its next step */
#define OLD(j)         (iage[j] == 2 || itch[j])                      /* whoever touched it has seen its age */

/* holder.stale_reason: ours by liveness lock or, without one, by pid; peers by pid and open file; else by age */
#define PROOF_OURS(p,j) ( FOREIGN(p,iown[j]) -> OLD(j) : ( LOCAL(p) -> own[iown[j]] != (j) : !alive[iown[j]] ) )
#define PROOF_PEER(p,j) ( PIDGONE(p,iown[j]) && ( LOCAL(p) -> (!SEENOPEN(p,j) && STEADY(j)) : OLD(j) ) )
#define PROOF_NONE(p,j) ( LOCAL(p) -> (!SEENOPEN(p,j) && STEADY(j)) : OLD(j) )
#if MUT == 4
#define PROOF(p,j,c) (1)                                                   /* no proof at all */
#elif MUT == 5
#define PROOF(p,j,c) (OLD(j) || (OURS(iown[j]) && PROOF_OURS(p,j)))        /* by age, whoever lives */
#elif MUT == 14
#define PROOF(p,j,c) ( (c) -> ( OURS(iown[j]) -> PROOF_OURS(p,j) : PROOF_PEER(p,j) ) : 1 )  /* unreadable is gone */
#elif MUT == 17
#define PROOF(p,j,c) ( OURS(iown[j]) -> PROOF_OURS(p,j) : (own[iown[j]] != (j)) )          /* closed is gone */
#else
#define PROOF(p,j,c) ( OURS(iown[j]) -> PROOF_OURS(p,j) : ( (c) -> PROOF_PEER(p,j) : PROOF_NONE(p,j) ) )
#endif

#define HELD1(p,q,j)   (q < NO && (q) != (p) && hold[q] && pin[q] == (j))
#define HELD(p,j)      (HELD1(p,0,j) || HELD1(p,1,j) || HELD1(p,2,j))

inline gc() {
  for (gi : 1 .. NI) {
    if
    :: (iown[gi] != FREE && name != gi) ->
       gused = 0;
       for (gp : 0 .. NP) { if :: (own[gp]==gi || pin[gp]==gi || caught[gp]==gi) -> gused = 1 :: else fi }
       if :: !gused -> iown[gi] = FREE; icomp[gi] = 0; iage[gi] = 0; itch[gi] = 0 :: else fi
    :: else
    fi
  }
  gi = 0; gp = 0; gused = 0
}
inline alloc(p, complete) {
  gi = 1;
  do :: (gi <= NI && iown[gi] != FREE) -> gi++ :: else -> break od;
  assert(gi <= NI);
  iown[gi] = p; icomp[gi] = complete; iage[gi] = 0; own[p] = gi; gi = 0
}
inline lostcheck() {
  if :: ((acked & (15 - st)) != 0) -> assert((flags & EXCUSE) != 0) :: else fi
}
inline replace_state(p) {
  st = snap | (1 << p);
  for (gp : 0 .. NP) { chg[gp] = 1; late[gp] = late[gp] || win[gp] }
  gp = 0
}
inline let_go(p) { pin[p] = 0; hold[p] = 0; eye[p] = 0; gc() }
inline evicted(j) {
  if :: LIVEIN(j) && !(OURS(iown[j]) && own[iown[j]] != (j)) -> flags = flags | F_EVICT; assert(!P_EVICT) :: else fi
}

#if NT > 2
#define SETTLED (infl[NO] == 0 && infl[NO+1] == 0 && infl[NO+2] == 0)
#elif NT > 1
#define SETTLED (infl[NO] == 0 && infl[NO+1] == 0)
#elif NT > 0
#define SETTLED (infl[NO] == 0)
#else
#define SETTLED (1)
#endif

proctype Our(byte p) {
  byte snap, att, out; bit c, old, dark, gone, clob;
  {
  skip;
again: skip;
  d_step { alloc(p, 1) };                                              /* lease.Lease.prepare */
  if                                                                   /* guard.FairLock.enter_at_once, wait */
  :: d_step { (!LOCAL(p) || NOGUARD) -> skip }
  :: d_step { (LOCAL(p) && !NOGUARD && guard == 0) -> guard = p+1 }
  :: (DEGRADE && LOCAL(p) && !NOGUARD && guard != 0) -> skip
  fi;
wait:
  do
#if MUT == 7
  :: (name == 0) -> d_step { name = own[p]; inside[p] = own[p]; iage[own[p]] = 0; gc() }; break   /* rename over it */
#else
  :: d_step { (name == 0) -> name = own[p]; inside[p] = own[p]; iage[own[p]] = 0 } -> break       /* lease.Lease.publish */
#endif
  :: d_step { (name != 0 && (iage[name] >= 1 || PROOF(p,name,icomp[name]))) ->                    /* takeover.Watch.read */
       pin[p] = name; c = icomp[name]; old = (iage[name] >= 1 || (itch[name] && MUT != 18)); eye[p] = !old } ->
       if
       :: old && MUT != 8 ->
          d_step { if :: name != 0 -> itch[name] = itch[name] || iage[name] >= 1; iage[name] = 0 :: else fi;
                   eye[p] = 1 };                                       /* takeover.fence: touch */
          if                                                           /* and settle */
          :: (!SLOW && MUT != 9) -> SETTLED
          :: (SLOW || MUT == 9) -> skip
          fi
       :: else
       fi;
       goto take
  od;
  goto leased;

take: skip;
  if                                                                   /* holder.stale_reason, takeover._lock_exclusively */
  :: d_step { PROOF(p,pin[p],c) && (!HELD(p,pin[p]) || !LOCAL(p) || MUT == 16) -> hold[p] = LOCAL(p) && MUT != 16 }
  :: else -> d_step { let_go(p) }; goto wait
  fi;
  d_step { if :: (name != 0) -> itch[name] = itch[name] || iage[name] >= 1; iage[name] = 0 :: else fi };
                                                                       /* takeover._touch */
#if MUT == 2
  d_step { if :: name != 0 -> evicted(name) :: else fi; name = 0; let_go(p) }; goto wait;    /* unlink by name */
#endif
  if                                                                   /* takeover._names */
  :: (name == pin[p] || MUT == 3)
  :: else -> d_step { let_go(p) }; goto wait
  fi;
  if                                                                   /* takeover.break_lock: rename */
  :: d_step { name != 0 -> caught[p] = name; name = 0; eye[p] = 0;
       if :: LIVEIN(caught[p]) -> flags = flags | F_CAUGHT :: else fi }
  :: else -> d_step { let_go(p) }; goto wait
  fi;
  if                                                                   /* compare, unlink */
  :: d_step { (caught[p] == pin[p] || MUT == 6) -> evicted(caught[p]); caught[p] = 0; let_go(p) }
  :: else -> skip;
#if MUT != 1
     d_step { gone = OURS(iown[caught[p]]) && !FOREIGN(p,iown[caught[p]]) && own[iown[caught[p]]] != caught[p];
              dark = gone && MUT != 19 };
     d_step { if :: (name == 0 && !dark) -> assert(!P_RESTORE || !gone); name = caught[p] :: else fi;
              dark = 0; gone = 0 };                                   /* takeover.restore */
#else
     d_step { evicted(caught[p]) };
#endif
     d_step { caught[p] = 0; let_go(p) }
  fi;
  goto wait;

leased: skip;
  d_step { if :: guard == p+1 -> guard = 0 :: else fi };               /* guard.FairLock.leave */
  d_step { snap = st; chg[p] = 0 };                                    /* snapshot.Snapshot */
  if                                                                   /* commit.Commit._check: the lease */
  :: (name == own[p] || MUT == 11)
  :: else -> goto lost
  fi;
  if                                                                   /* and the file */
  :: d_step { (!chg[p] || MUT == 11 || MUT == 12) -> win[p] = 1 }
  :: else -> goto lost
  fi;
  d_step { assert(!P_WINDOW || !chg[p] || late[p]); clob = chg[p]; win[p] = 0; late[p] = 0;
           replace_state(p); lostcheck() };                            /* commit.Commit._replace */
  if                                                                   /* commit.Commit._confirm */
  :: d_step { (name == own[p] || MUT == 13) -> assert(!P_LEMMA || !clob); clob = 0 }
  :: else -> goto lost
  fi;
  if                                                                   /* lease.Lease.withdraw: lstat, unlink */
  :: (name == own[p]) ->
#if MUT == 15
     d_step { out = own[p]; own[p] = 0 };                              /* the liveness lock is freed first */
#endif
     d_step { name = 0; inside[p] = 0; out = 0; gc() }
  :: else -> d_step { inside[p] = 0 }
  fi;
  d_step { own[p] = 0; gc() };                                         /* lease.Lease.close */
  d_step { acked = acked | (1 << p); lostcheck() };                    /* commit.Commit.sync, acknowledged */
  goto done;

lost:                                                                  /* lock._release_quietly */
  if
  :: (name == own[p]) -> d_step { name = 0; inside[p] = 0; gc() }
  :: else -> d_step { inside[p] = 0 }
  fi;
  d_step { own[p] = 0; eye[p] = 0; win[p] = 0; late[p] = 0; clob = 0; att++; snap = 0; c = 0; old = 0; gc() };
  if :: (att < ATT) -> goto again :: else fi;
done: skip;
  d_step { snap = 0; att = 0; c = 0; old = 0; chg[p] = 0 }
  } unless { (!alive[p]) };
}

proctype Peer(byte p) {
  byte snap, l; bit yes;
  {
  do
  :: d_step { (name == 0) -> alloc(p, 0); name = own[p]; inside[p] = own[p]; l = own[p] } -> break   /* open wx */
  :: d_step { (name != 0 && iage[name] == 2) -> infl[p] = 1 } ->                                     /* stat: old */
     d_step { if :: (name == 0) -> yes = 0 :: else -> yes = (!icomp[name] || PIDGONE(p,iown[name])) fi };  /* read, kill */
     if
     :: d_step { yes -> if :: (name != 0) ->
            if :: LIVEIN(name) -> if :: (iown[name] < NO) -> flags = flags | F_CLEAN_OURS
                                     :: else -> flags = flags | F_CLEAN_PEER fi
               :: else fi
          :: else fi;
          name = 0; infl[p] = 0; yes = 0; gc() }                                                     /* rm by name */
     :: else -> d_step { infl[p] = 0 }
     fi
  od;
  skip;
  d_step { if :: (iown[l] == p) -> icomp[l] = 1 :: else fi };                                        /* the record */
  d_step { snap = st };
  d_step { replace_state(p); lostcheck() };
  d_step { own[p] = 0; gc() };                                                                       /* handle.close() */
  d_step { if :: (name != 0 && iown[name] != p) -> if :: LIVEIN(name) -> flags = flags | F_RELEASE :: else fi :: else fi;
           name = 0; inside[p] = 0; l = 0; gc() };                                                   /* rm by name */
  d_step { acked = acked | (1 << p); lostcheck() };
  d_step { snap = 0; chg[p] = 0 }
  } unless { (!alive[p]) };
}

#define EYES (eye[0] || (NO > 1 && eye[1 % NO]) || (NO > 2 && eye[2 % NO]))
proctype Clock() {
end:
  do
  :: d_step { (AGING && name != 0 && iage[name] < 2 && (HOLDOLD || !LIVEIN(name)) && !EYES) -> iage[name] = iage[name] + 1 }
  od
}

inline kill(p) {
  alive[p] = 0; own[p] = 0; pin[p] = 0; hold[p] = 0; caught[p] = 0; inside[p] = 0; infl[p] = 0; eye[p] = 0; win[p] = 0; late[p] = 0; chg[p] = 0;
  if :: guard == p+1 -> guard = 0 :: else fi;
  crashes++; gc()
}
#define MAYDIE(p) (crashes < MAXC && p < NP && alive[p] && !(acked & (1 << p)))
proctype Killer() {
end:
  do
  :: d_step { MAYDIE(0) -> kill(0) }
#if NO+NT > 1
  :: d_step { MAYDIE(1) -> kill(1) }
#endif
#if NO+NT > 2
  :: d_step { MAYDIE(2) -> kill(2) }
#endif
#if NO+NT > 3
  :: d_step { MAYDIE(3) -> kill(3) }
#endif
  od
}

init {
  d_step {
    for (gi : 1 .. NI) { iown[gi] = FREE }; gi = 0;
    for (gp : 0 .. NP-1) { alive[gp] = 1 }; gp = 0;
    if :: GHOST > 0 -> name = NI; iown[NI] = GH; icomp[NI] = (GHOST != 2); iage[NI] = GAGE :: else fi
  };
  atomic {
    run Our(0);
#if NO > 1
    run Our(1);
#endif
#if NO > 2
    run Our(2);
#endif
#if NT > 0
    run Peer(NO);
#endif
#if NT > 1
    run Peer(NO+1);
#endif
#if NT > 2
    run Peer(NO+2);
#endif
    run Clock();
#if MAXC > 0
    run Killer();
#endif
  }
}
