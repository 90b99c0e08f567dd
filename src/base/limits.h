/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Limits
 *
 * Every queue, list and buffer has a bound, and every bound stands here with
 * its reason.
 */

#include "base/clock.h"

/* A DNS label (RFC 1035 2.3.4), and short enough for every surface. */
#define NAME_LENGTH_MAX 63

/* What a probe may say about itself: one line for a person, not a dump. */
#define OUTPUT_LENGTH_MAX 256

/* 100 000 are measured; ten times that is a mistake in a loop, not a service. */
#define PROBES_MAX 1000000

/* STATUS= is one line of `systemctl status`. */
#define STATUS_LENGTH_MAX 200

/* PID 1 reads every update; more than one a second is noise to a person as well. */
#define STATUS_INTERVAL_USEC USEC_PER_SEC

/* A notify datagram: the longest assignments, and a STATUS of four-byte characters. systemd reads
 * at most 4096 bytes (NOTIFY_BUFFER_MAX). */
#define NOTIFY_MESSAGE_MAX 1024

/* READY, RELOADING, READY, STOPPING: whatever was to be said before is settled by these. */
#define NOTIFY_QUEUE_MAX 4

/* systemd's queue is full or systemd is gone: ask again soon, then ever more seldom. */
#define NOTIFY_RETRY_MIN_USEC (20 * USEC_PER_MSEC)
#define NOTIFY_RETRY_MAX_USEC (2 * USEC_PER_SEC)

/* FDNAME= has at most 255 characters (sd_notify(3)). */
#define FDNAME_LENGTH_MAX 255

/* One value in a journal entry: far more than any text of ours, far less than hurts. */
#define JOURNAL_VALUE_MAX 65536

/* Fields that a caller may add to a journal entry. */
#define JOURNAL_FIELDS_MAX 24

/* A line on stderr: what a pipe takes in one piece (PIPE_BUF). */
#define CONSOLE_LINE_MAX 4096

/* ?exclude= may be repeated; more of them than this is not a person's question. */
#define EXCLUDES_MAX 32

/* A check spec: a path of PATH_MAX bytes does not fit, but no spec that a person wrote is longer.
 */
#define SPEC_LENGTH_MAX 2048

/* A host may have dozens of addresses; more than this cannot all be tried within one deadline. */
#define ADDRESSES_MAX 16

/* How far into the answer of a peer the expected text is looked for: banners are one line. */
#define PEER_ANSWER_MAX 4096

/* What is shown of such an answer within one output. */
#define PEER_QUOTE_MAX 64

/* Blocking calls at once: one that hangs does not hold up the others; more would only queue up
 * at the same disk or resolver. */
#define POOL_RUNNING_MAX 2

/* Threads given up because they hang. Each costs a stack and a task; at this many the fault is
 * the machine's, and asking on would only make it worse. */
#define POOL_ABANDONED_MAX 4

/* Every probe has at most one blocking call under way, so all of them may wait. */
#define POOL_QUEUE_MAX PROBES_MAX

/* Enough for getaddrinfo() and its plug-ins, twice what musl gives any thread. */
#define POOL_STACK_SIZE ((size_t)256 * 1024)

/* An idle thread of the pool stays this long, so that probes every 10 s find it there. */
#define POOL_IDLE_USEC (30 * USEC_PER_SEC)

/* Levels of control groups whose limits are read: systemd and Kubernetes nest about eight deep. */
#define CGROUP_DEPTH_MAX 16

/*
 * HTTP (report/http*). A request is a health question of a few hundred bytes; the bounds leave
 * room for what proxies and browsers add.
 */

/* Our longest path and query are far below; longer ones get 414. */
#define HTTP_TARGET_MAX 2048

/* The longest method there is (RFC 9110 has 7 letters, the registry 17), two spaces, version. */
#define HTTP_REQUEST_LINE_MAX (HTTP_TARGET_MAX + 64)

/* All header lines of a request together and their number; what Apache allows one line, and two
 * thirds of its lines. More gets 431. */
#define HTTP_FIELDS_MAX 8192
#define HTTP_FIELD_LINES_MAX 64

/* The server's one read buffer: the longest request there can be, and a batch of pipelined small
 * ones in a single recv(). It is also the most that one connection may keep unread. */
#define HTTP_BUFFER_SIZE 16384

/* Pipelined requests answered in one turn of a connection, by one sendmsg(); also the longest
 * queue of replies that a slow reader can hold on to. */
#define HTTP_BATCH_MAX 32

/* Events and new connections taken in one turn of the loop: at some 20 us each about 1 ms, the
 * longest that HTTP may keep the loop from what else it has to do. */
#define HTTP_EVENTS_MAX 64
#define HTTP_ACCEPTS_MAX 32

/* Half of the 1024 descriptors that a process has by default; the rest is the service's own. */
#define HTTP_CONNECTIONS_MAX 512

/* A scraper, a balancer and a dashboard behind one address keep a handful; a browser six. */
#define HTTP_PEER_CONNECTIONS_MAX 64

/* Nobody asks this often on one connection but a benchmark; it bounds what lives for ever. */
#define HTTP_REQUESTS_MAX 100000

/* A scraper that comes once a minute, by default, keeps its connection. */
#define HTTP_IDLE_USEC (75 * USEC_PER_SEC)

/* A whole request is one packet: what takes longer is broken or means harm. */
#define HTTP_HEADER_USEC (5 * USEC_PER_SEC)

/* For the whole of a reply, so that reading a byte at a time does not help. */
#define HTTP_SEND_USEC (30 * USEC_PER_SEC)

/* How long, and for how many bytes, a client that was refused may go on talking: long enough to
 * get the refusal before the connection is reset. */
#define HTTP_LINGER_USEC (2 * USEC_PER_SEC)
#define HTTP_LINGER_MAX (256 * 1024)

/* How long no connection is accepted when there is no descriptor or memory for it. */
#define HTTP_PAUSE_USEC (100 * USEC_PER_MSEC)

/* TCP v4 and v6, a local socket, each for several networks. */
#define HTTP_LISTENERS_MAX 64

/* Metrics of 100 000 probes; a larger document is a mistake. */
#define HTTP_DOCUMENT_MAX (64 * 1024 * 1024)

/* Media ranges of one Accept line that are looked at; the rest is ignored. */
#define HTTP_ACCEPT_RANGES_MAX 32

/* "bytes", "percent", "ms": a unit of measure, not a sentence. */
#define UNIT_LENGTH_MAX 15

/*
 * D-Bus (report/bus*).
 */

/* Method calls that wait: for the caller's identity, for polkit, for the end of a run. */
#define BUS_CALLS_MAX 64

/* Of these, how many may wait for polkit: strangers cannot keep out those who need no leave. */
#define BUS_POLKIT_MAX 16

/* Who the caller is, the bus itself says within a millisecond; a person types a password. */
#define BUS_REPLY_USEC (5 * USEC_PER_SEC)
#define BUS_POLKIT_USEC (2 * USEC_PER_MINUTE)

/* How long RunProbe() waits for a run. Callers give up after 25 s, unless they ask for more. */
#define BUS_RUN_USEC (2 * USEC_PER_MINUTE)

/* The bus takes the connection but does not say hello: say so, and try again later. */
#define BUS_CONNECT_USEC (5 * USEC_PER_SEC)

/* A connection that lasted this long was a good one: the next loss starts with a short wait. */
#define BUS_STABLE_USEC USEC_PER_MINUTE

/* Messages that the bus has not taken from us, of some 500 bytes. It is hung then. */
#define BUS_QUEUE_MAX 1024

/* The same for answers of up to BUS_REPORT_MAX: one in the making, a few on their way. */
#define BUS_QUEUE_LARGE_MAX 4

/* Objects in one answer of the ObjectManager, at about 15 us each; ListProbes() at about 2 us.
 * The loop serves nothing else while it writes them. */
#define BUS_OBJECTS_MAX 1024
#define BUS_LIST_MAX 4096

/* Half of what the system bus takes in one message (max_message_size is 32 MiB). */
#define BUS_REPORT_MAX (16 * 1024 * 1024)

/* Changes told one by one in a window. Above that they are counted, and told in sum. */
#define BUS_PROBE_SIGNALS_MAX 500
#define BUS_HEALTH_SIGNALS_MAX 20
#define BUS_WINDOW_USEC USEC_PER_SEC

/* Messages about single probes in a window: what a person can read, and journald's own limit of
 * 10 000 in 30 s is not used up by one storm. */
#define TELL_MAX 100U
#define TELL_WINDOW_USEC (10 * USEC_PER_SEC)

/* Addresses to listen on by hand: one for each way in, and some. */
#define LISTEN_ADDRESSES_MAX 16

/* Each worker is a process, and takes a descriptor or four; one for each of many processors. */
#define WORKERS_MAX 256

/* Workers that depend on one another: more than a person can keep in mind. */
#define GROUPS_MAX 64
#define GROUP_MEMBERS_MAX 64

/* The program's own command line, which its workers get again: what the kernel allows at the
 * default stack limit. */
#define SPAWN_ARGUMENTS_MAX ((size_t)2 * 1024 * 1024)

/* Faults that are injected at once: a rehearsal is of one thing, or of a few that come together. */
#define INJECTIONS_MAX 8
#define INJECTION_MIN_USEC USEC_PER_MSEC
#define INJECTION_MAX_USEC (10 * USEC_PER_MINUTE)

/* "hang-worker NAME". */
#define INJECTION_MAX (NAME_LENGTH_MAX + 17)

/* All of them, with commas. */
#define REHEARSAL_TEXT_MAX (INJECTIONS_MAX * (INJECTION_MAX + 2))

/* What a rehearsal may leak: enough for any limit that is worth a try, not for a whole machine. */
#define LEAK_MAX ((uint64_t)1024 * 1024 * 1024)

/* Turns of a link's source before it lets others have theirs: a burst of answers takes fewer, and
 * at 4 ms each, for a line of many megabytes, the ping is 128 ms late. */
#define LINK_TURNS_MAX 32

/* What a server may say before it has let us in: a greeting, and some certificates. */
#define LINK_GREETING_MAX ((size_t)1024 * 1024)

/* Connections that a service keeps: one for each thing that it depends on, and some pools. */
#define LINKS_MAX 256

/*
 * The flight recorder and the blame of a stalled loop. The record is of fixed size, and each of its
 * parts is one of a fixed number.
 */

/* All of it: small enough to keep for every service of a host, and for systemd to hold. */
#define RECORDER_SIZE ((size_t)64 * 1024)

/* A bad day: a probe that flaps each minute for two hours, or a hundred deaths. */
#define RECORDER_ENTRIES_MAX 256

/* One line of the history; reasons in full are in the state and the journal. */
#define RECORDER_TEXT_MAX 84

/* Of each kind of change that may come in storms so many are recorded at once, and then one in so
 * long: what flaps each minute is recorded in full, and a storm leaves what was before it. What is
 * left out is counted. */
#define RECORDER_BURST_MAX 32U
#define RECORDER_REFILL_USEC (30 * USEC_PER_SEC)

/* Frames of a stack: from the hanging call up to main(), through the loop and the library, takes
 * about twenty. */
#define STACK_FRAMES_MAX 48

/* A stack as text: frames of some 60 bytes each. */
#define STACK_TEXT_MAX 3072

/* "check_engine+0x12": C++ names are longer, and cut. */
#define FUNCTION_LENGTH_MAX 128

/* Files that code was loaded from: a service of ours loads some ten, most others below forty; what
 * is beyond is shown as an address. */
#define MODULES_MAX 32
#define MODULE_PATH_MAX 208

/* Symbols of a file that are looked at: twice those of a browser. */
#define SYMBOLS_MAX 2000000

/* How long the hung thread may take to show its stack, before it is told without. */
#define STACK_ANSWER_USEC (200 * USEC_PER_MSEC)

/* Samples in one document of metrics: Prometheus takes half a second for so many, and more of one
 * target are refused in most places (sample_limit). It is room for 1900 probes. */
#define METRICS_LINES_MAX 50000U

/* Remedies in one document of metrics, at ten samples each: more than a person writes. */
#define METRICS_REMEDIES_MAX 512U

/* Descriptors that are listed to count them, where the kernel does not tell their number: at 2 us
 * each that holds the loop for 20 ms. Above it their number is left out. */
#define DESCRIPTORS_COUNTED_MAX 10000U

/* Probes whose durations are counted, at a hundred bytes each: as many as have room there. */
#define HISTOGRAMS_MAX 2048U
