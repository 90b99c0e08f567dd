/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * load: the HTTP load generator of the benchmarks
 *
 *     load --connect 127.0.0.1:8080 --path /livez --connections 64 --requests 30000
 *
 * Prints one JSON object. The exit status is 0 also when requests failed: the
 * counts say so.
 */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/macro.h"
#include "nsec.h"

enum {
        ARG_CONNECT = 256,
        ARG_PATH,
        ARG_CONNECTIONS,
        ARG_SOURCES,
        ARG_REQUESTS,
        ARG_EVERY_USEC,
        ARG_DEADLINE_USEC,
        ARG_FRESH,
        ARG_PID,
};

static const struct option options[] = {
        { "connect", required_argument, NULL, ARG_CONNECT },
        { "path", required_argument, NULL, ARG_PATH },
        { "connections", required_argument, NULL, ARG_CONNECTIONS },
        { "sources", required_argument, NULL, ARG_SOURCES },
        { "requests", required_argument, NULL, ARG_REQUESTS },
        { "every-usec", required_argument, NULL, ARG_EVERY_USEC },
        { "deadline-usec", required_argument, NULL, ARG_DEADLINE_USEC },
        { "fresh", no_argument, NULL, ARG_FRESH },
        { "pid", required_argument, NULL, ARG_PID },
        {},
};

static LoadConfig arg_config = {
        .path = "/livez",
        .n_connections = 16,
        .n_requests = 1000,
        .deadline_usec = 5000000,
};

static int help(void) {
        puts("load [OPTIONS...]\n\n"
             "Asks an HTTP server and counts its answers.\n\n"
             "     --connect ADDRESS     127.0.0.1:PORT, or the path of an AF_UNIX socket\n"
             "     --path PATH           What to ask for (default: /livez)\n"
             "     --connections N       At once (default: 16)\n"
             "     --sources N           Connect from so many addresses (default: 1)\n"
             "     --requests N          In all (default: 1000)\n"
             "     --fresh               A new connection for each request\n"
             "     --every-usec N        One request each N microseconds, answered or not\n"
             "     --deadline-usec N     When a request counts as late (default: 5 s)\n"
             "     --pid PID             The server, whose CPU time to measure");
        return 0;
}

static int parse_address(const char *text, LoadConfig *config) {
        struct sockaddr_in *in = (struct sockaddr_in *)&config->address;
        struct sockaddr_un *un = (struct sockaddr_un *)&config->address;
        const char *port = strrchr(text, ':');
        char host[INET_ADDRSTRLEN] = {};

        if (text[0] == '/') {
                if (strlen(text) >= sizeof(un->sun_path))
                        return -ENAMETOOLONG;
                un->sun_family = AF_UNIX;
                memcpy(un->sun_path, text, strlen(text) + 1);
                config->address_size = sizeof(*un);
                return 0;
        }

        if (!port || (size_t)(port - text) >= sizeof(host))
                return -EINVAL;

        (void)memcpy(host, text, (size_t)(port - text));
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
        config->address_size = sizeof(*in);
        return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret) {
        unsigned long long value;
        char *end;

        value = strtoull(text, &end, 10);
        if (end == text || *end || value == 0 || value > max)
                return -ERANGE;

        *ret = value;
        return 0;
}

static int parse_option(int option, LoadConfig *config) {
        uint64_t number = 0;
        int r = 0;

        switch (option) {
        case ARG_CONNECT:
                return parse_address(optarg, config);
        case ARG_PATH:
                config->path = optarg;
                return 0;
        case ARG_FRESH:
                config->fresh = true;
                return 0;
        case ARG_CONNECTIONS:
                r = parse_number(optarg, LOAD_CONNECTIONS_MAX, &number);
                config->n_connections = (unsigned)number;
                return r;
        case ARG_SOURCES:
                r = parse_number(optarg, 250, &number);
                config->n_sources = (unsigned)number;
                return r;
        case ARG_REQUESTS:
                return parse_number(optarg, LOAD_REQUESTS_MAX, &config->n_requests);
        case ARG_EVERY_USEC:
                return parse_number(optarg, 1000000, &config->every_usec);
        case ARG_DEADLINE_USEC:
                return parse_number(optarg, 60000000, &config->deadline_usec);
        case ARG_PID:
                r = parse_number(optarg, INT32_MAX, &number);
                config->server = (pid_t)number;
                return r;
        default:
                return -EINVAL;
        }
}

static double percentile_usec(const LoadResult *result, unsigned percent) {
        uint64_t n = result->n_answers;

        return n == 0 ? 0 : (double)result->latency_nsec[(n - 1) * percent / 100] / 1e3;
}

static void print_result(const LoadResult *result) {
        double n = result->n_answers > 0 ? (double)result->n_answers : 1;

        qsort(result->latency_nsec, result->n_answers, sizeof(uint64_t), compare_u64);

        printf("{\"answers\": %llu, \"refused\": %llu, \"broken\": %llu, \"wrong\": %llu, "
               "\"late\": %llu, \"reopened\": %llu, ",
               (unsigned long long)result->n_answers, (unsigned long long)result->n_refused,
               (unsigned long long)result->n_broken, (unsigned long long)result->n_wrong,
               (unsigned long long)result->n_late, (unsigned long long)result->n_reopened);
        printf("\"seconds\": %.6f, \"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
               "\"max_us\": %.1f, \"server_cpu_us\": %.4f, \"client_cpu_us\": %.4f}\n",
               (double)result->elapsed_nsec / 1e9, n * 1e9 / (double)result->elapsed_nsec,
               percentile_usec(result, 50), percentile_usec(result, 99),
               percentile_usec(result, 100), (double)result->server_cpu_nsec / n / 1e3,
               (double)result->client_cpu_nsec / n / 1e3);
}

int main(int argc, char *argv[]) {
        LoadResult result = {};
        int option, r;

        while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                if (option == 'h')
                        return help();
                if (parse_option(option, &arg_config) < 0) {
                        fprintf(stderr, "load: wrong option or value, see load -h\n");
                        return 2;
                }
        }
        if (arg_config.address_size == 0) {
                fprintf(stderr, "load: --connect is missing\n");
                return 2;
        }

        r = load_run(&arg_config, &result);
        if (r < 0) {
                fprintf(stderr, "load: %s\n", strerror(-r));
                return 1;
        }

        print_result(&result);
        load_result_done(&result);
        return 0;
}
