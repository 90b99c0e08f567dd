/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Process: one child from its start to its end
 *
 * Watched by its pidfd, so that SIGCHLD stays the program's. A program that waits
 * for all children (waitpid(-1)) or ignores SIGCHLD may take the exit status
 * first: the end is seen all the same, only its reason is not.
 *
 * With the child goes its whole process group: whatever it has started and not
 * moved elsewhere is killed when it is gone. There are no timers here; the owner
 * asks, waits and kills.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "heal/beat.h"
#include "heal/exit-text.h"
#include "heal/spawn.h"

/* What a child and its service say to one another, a message a byte. */
typedef enum ProcessWord {
        WORD_RUNS = 'R',  /* child: the worker's function is called next */
        WORD_WAITS = 'W', /* child: a spare, and ready */
        WORD_STOP = 'S',  /* service: should stop */
        WORD_GO = 'G',    /* service: a spare is the active worker now */
        WORD_PEER = 'P',  /* service: with the pidfd of the active worker, and its generation */
} ProcessWord;

typedef struct ProcessMessage {
        uint32_t word;
        uint32_t generation;
} ProcessMessage;

typedef struct Process Process;

/* Either may start and stop processes, this one too. */
typedef struct ProcessOps {
        void (*heard)(Process *process, ProcessWord word);
        void (*gone)(Process *process, const WorkerExit *end);
} ProcessOps;

struct Process {
        sd_event *event; /* weak */
        int64_t priority;
        const ProcessOps *ops;
        void *owner;

        pid_t pid;      /* 0: none */
        pid_t last_pid; /* for messages about one that is gone */
        int pidfd, socket_fd;
        sd_event_source *pidfd_source, *socket_source;
        unsigned n_heard;
        Beat beat; /* kept from one child to the next */
        ExitReason reason;
        uint64_t limit_usec; /* for which it was killed */
};

void process_init(Process *process, const ProcessOps *ops, void *owner);

/* Kills and forgets what is alive: gone() is not called. Waits for the end, up to @wait_usec. */
void process_done(Process *process, uint64_t wait_usec);

static inline bool process_is_alive(const Process *process) {
        return process->pid > 0;
}

/* Starts a child, as a spare or not. Returns 0, or a negative errno, and then there is none. */
int process_start(Process *process,
                  sd_event *event,
                  int64_t priority,
                  const SpawnImage *image,
                  const char *name,
                  bool spare);

/* Asks it to stop, by all ways that there are: flag, message and SIGTERM. */
void process_ask(Process *process);

/* Ends it and its group. The first reason counts. */
void process_kill(Process *process, ExitReason reason, uint64_t limit_usec);

/* Tells a spare whom it is to watch. */
int process_tell_peer(Process *spare, const Process *active, uint32_t generation);

/* Lets the spare take over by itself when that active worker dies, or no longer. The latter returns
 * false if it has taken over already. */
void process_arm(Process *spare, uint32_t generation);
bool process_disarm(Process *spare, uint32_t generation);

/* The spare, which must be disarmed, is the active worker now. */
int process_go(Process *spare);
