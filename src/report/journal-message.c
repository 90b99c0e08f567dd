/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <syslog.h>

#include "base/macro.h"
#include "report/journal-message.h"

/* Made with `systemd-id128 new`. */
/* clang-format off */
static const MessageType types[] = {
        [MESSAGE_SERVICE_READY]       = { "service-ready",       "69b8aa2f67914a5082d7d41eb385a00f", LOG_INFO    },
        [MESSAGE_STATUS_CHANGED]      = { "status-changed",      "48b81cdf8c27433190c28e72acb87412", LOG_NOTICE  },
        [MESSAGE_STATUS_WARN]         = { "status-warn",         "48b81cdf8c27433190c28e72acb87412", LOG_WARNING },
        [MESSAGE_STATUS_FAIL]         = { "status-fail",         "48b81cdf8c27433190c28e72acb87412", LOG_ERR     },
        [MESSAGE_PROBE_FAILED]        = { "probe-failed",        "e19a0c5143bc4ed7802f77b691303db7", LOG_WARNING },
        [MESSAGE_PROBE_RECOVERED]     = { "probe-recovered",     "66471b4c589542d0960e82b5cb5daa5f", LOG_NOTICE  },
        [MESSAGE_PROBE_TIMED_OUT]     = { "probe-timed-out",     "1e12b5212c75468ebf6f0767a89f722a", LOG_WARNING },
        [MESSAGE_PROBE_STALE]         = { "probe-stale",         "c040c955def34d3b9a8f322f0859e66e", LOG_WARNING },
        [MESSAGE_PROBE_WARNS]         = { "probe-warns",         "2b61cb6906ec40048e2a77179ab5e938", LOG_WARNING },
        [MESSAGE_PROBE_PASSES]        = { "probe-passes",        "31f121b4e7ff4eb2936e0ac7a2f456af", LOG_DEBUG   },
        [MESSAGE_GATE_CLOSED]         = { "gate-closed",         "93afa4b99a8842fa97a3ba72bc36131b", LOG_CRIT    },
        [MESSAGE_GATE_OPENED]         = { "gate-opened",         "b57a30f41c3948b993d2fd728d44e08f", LOG_NOTICE  },
        [MESSAGE_WATCHDOG_TRIGGERED]  = { "watchdog-triggered",  "a7296f24ff9b49e4b6806f2656a13f60", LOG_CRIT    },
        [MESSAGE_GIVING_UP]           = { "giving-up",           "b5f7446c4a2a4cc09227d88f599a0a68", LOG_CRIT    },
        [MESSAGE_LOOP_LATE]           = { "loop-late",           "a848a1ebe8de4471a203d84674eb2ade", LOG_WARNING },
        [MESSAGE_RELOAD_DONE]         = { "reload-done",         "8c7bf95798b04b3cb186e63cef675874", LOG_NOTICE  },
        [MESSAGE_RELOAD_FAILED]       = { "reload-failed",       "a2c765d7260f4e3d9a6e8825a03c5875", LOG_ERR     },
        [MESSAGE_MAINTENANCE_ON]      = { "maintenance-on",      "ed31efec954c4364a4c1af7566e5fc45", LOG_NOTICE  },
        [MESSAGE_MAINTENANCE_OFF]     = { "maintenance-off",     "77fba35082a941eb8fe584196aeedc68", LOG_NOTICE  },
        [MESSAGE_CONFIGURATION_ERROR] = { "configuration-error", "ad8e719b50b547c3a6a39dd331ba07bb", LOG_ERR     },
        [MESSAGE_STOPPING]            = { "stopping",            "a455186d798f407f84cf69a2d7749df6", LOG_INFO    },
        [MESSAGE_STOPPED]             = { "stopped",             "16b8cc4905bf417997b0a9494cf3c8b4", LOG_INFO    },
        [MESSAGE_GAP]                 = { "gap",                 "a0332ab4a6174ec693c9345e13f126c2", LOG_NOTICE  },
        [MESSAGE_LOOP_STALLED]        = { "loop-stalled",        "bf660df55a324cad988c0f1059ab7790", LOG_CRIT    },
        [MESSAGE_RESTARTED_AFTER]     = { "restarted-after",     "c6d1d005296443d7995adc2dab2e8733", LOG_WARNING },
        [MESSAGE_BUS_LOST]            = { "bus-lost",            "621283377db54b98bfc5f4763b911483", LOG_WARNING },
        [MESSAGE_BUS_BACK]            = { "bus-back",            "fdc65e1ec3d24b3a945a7f50e467ea48", LOG_NOTICE  },
        [MESSAGE_POOL_EXHAUSTED]      = { "pool-exhausted",      "1dd9d7688e084bb586e2ce07cd80031b", LOG_ERR     },
        [MESSAGE_HTTP_TROUBLE]        = { "http-trouble",        "47a586bc663140469bc26bdbbc28a93b", LOG_WARNING },
        [MESSAGE_LINK_DOWN]           = { "link-down",           "37cdbc824aa94a088396eebdae3bd768", LOG_WARNING },
        [MESSAGE_LINK_UP]             = { "link-up",             "ecd40d683bbe481d93b745c427faf38d", LOG_NOTICE  },
        [MESSAGE_LINK_GATES_LIVE]     = { "link-gates-live",     "4fab6320995645b4bfde711b715a2ee8", LOG_WARNING },
        [MESSAGE_WORKER_DIED]         = { "worker-died",         "91ddca1d0f1a4abb853f1c9582e861c6", LOG_WARNING },
        [MESSAGE_WORKER_RESTARTED]    = { "worker-restarted",    "a2638fb9dcf141f0874a719a277325ea", LOG_NOTICE  },
        [MESSAGE_WORKER_ENDED]        = { "worker-ended",        "aec94dde411a4644926b2c7b56df24ae", LOG_INFO    },
        [MESSAGE_WORKER_HUNG]         = { "worker-hung",         "8843c043953645eba600bd256f538425", LOG_ERR     },
        [MESSAGE_WORKER_STUCK]        = { "worker-stuck",        "84a54d9dfa154a3eb5294cf074a01fa9", LOG_WARNING },
        [MESSAGE_WORKER_ESCALATED]    = { "worker-escalated",    "f3a18d279327434fb2aa294954c0ae10", LOG_CRIT    },
        [MESSAGE_REMEDY_HEALED]       = { "remedy-healed",       "60dc628afb6d456e86d6b9ea80f469f9", LOG_NOTICE  },
        [MESSAGE_REMEDY_FAILED]       = { "remedy-failed",       "84ed543addda474a882d8d0c7323d8a3", LOG_WARNING },
        [MESSAGE_REMEDY_DONE]         = { "remedy-done",         "64c83ca32fb44e198b9c6987b7abcf28", LOG_INFO    },
        [MESSAGE_REMEDIES_SPENT]      = { "remedies-spent",      "fd4b19bb20ef4edc81bfa3a0b367edb1", LOG_ERR     },
        [MESSAGE_MEMORY_RESTART]      = { "memory-restart",      "5a26a46247604d9288d0075fceb526d6", LOG_ERR     },
        [MESSAGE_REHEARSAL_BEGUN]     = { "rehearsal-begun",     "b7a6ff09907f4e22b0967986d260f0a4", LOG_WARNING },
        [MESSAGE_REHEARSAL_ENDED]     = { "rehearsal-ended",     "ba4fba0c8dfc4bb7aa74c780d1fc62f0", LOG_NOTICE  },
};
/* clang-format on */

static_assert(ELEMENTSOF(types) == _MESSAGE_KIND_MAX, "a kind of message lacks its type");

const MessageType *message_type(MessageKind kind) {
        assert(kind < _MESSAGE_KIND_MAX);

        return &types[kind];
}
