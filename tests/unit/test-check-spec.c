/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A check spec is taken whole or refused with the exact place and what was
 * expected there. Then: any bytes survive being written as %XX, and any text
 * with one byte changed is refused within itself or taken.
 */

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "check/check-type.h"

#define SCHEMES "loop:, memory:, fds:, disk:, file:, tcp:, unix:"

/* What is refused, where (bytes from 0), and the sentence after "SPEC: ". */
/* clang-format off */
static const struct {
        const char *text;
        size_t offset;
        const char *complaint;
} refused[] = {
        { "disk:/var?fre=5%", 10,
          "unknown key 'fre' at character 11; expected free, inodes, warn" },
        { "", 0,
          "unknown scheme '' at character 1; expected " SCHEMES },
        { "disk", 0,
          "unknown scheme 'disk' at character 1; expected " SCHEMES },
        { "dsk:/var", 0,
          "unknown scheme 'dsk' at character 1; expected " SCHEMES },
        { "Disk:/var", 0,
          "unknown scheme 'Disk' at character 1; expected " SCHEMES },
        { "disk:", 5, "no absolute path at character 6; expected one that starts with one '/'" },
        { "disk:var", 5, "no absolute path at character 6; expected one that starts with one '/'" },
        { "disk://host/var", 5,
          "no absolute path at character 6; expected one that starts with one '/'" },
        { "disk:/a%2", 7, "'%2' at character 8; expected two hexadecimal digits after '%'" },
        { "disk:/a%zz", 7, "'%zz' at character 8; expected two hexadecimal digits after '%'" },
        { "disk:/a%00b", 7, "a NUL at character 8; expected no NUL" },
        { "disk:/a\nb", 7, "a control character at character 8; expected it to be written %XX" },
        { "disk:/ä?x=1", 9, "unknown key 'x' at character 9; expected free, inodes, warn" },
        { "disk:/var?free", 14, "no value of 'free' at character 15; expected '=' and its value" },
        { "disk:/var?free=", 14, "no value of 'free' at character 15; expected '=' and its value" },
        { "disk:/var?free=&warn=1", 14,
          "no value of 'free' at character 15; expected '=' and its value" },
        { "disk:/var?", 10, "unknown key '' at character 11; expected free, inodes, warn" },
        { "disk:/var?free=5%&", 18, "unknown key '' at character 19; expected free, inodes, warn" },
        { "disk:/var?free=5%&free=6%", 18, "'free' again at character 19; expected it once" },
        { "disk:/var?free=5x", 15,
          "'5x' at character 16; expected a percentage such as 5% or an amount such as 2G" },
        { "disk:/var?free=101%", 15,
          "'101%' at character 16; expected a percentage such as 5% or an amount such as 2G" },
        { "disk:/var?free=5%%", 16,
          "'%' at character 17; expected two hexadecimal digits after '%'" },
        { "disk:/var?free=-5", 15,
          "'-5' at character 16; expected a percentage such as 5% or an amount such as 2G" },
        { "file:/a?max_age=5foo", 16,
          "'5foo' at character 17; expected a time span such as 200ms or 5min" },
        { "file:/a?min_size=5%25", 17,
          "'5%25' at character 18; expected an amount such as 4096 or 64M" },
        { "file:/a?missing=no", 16,
          "unknown word 'no' at character 17; expected fail, warn, pass" },
        { "loop:x", 5, "'x' at character 6; expected '?' or the end" },
        { "fds:/", 4, "'/' at character 5; expected '?' or the end" },
        { "tcp:host:80", 4, "no '//' at character 5; expected //host:port" },
        { "tcp://", 6, "no host at character 7; expected a name or an address" },
        { "tcp://:80", 6, "no host at character 7; expected a name or an address" },
        { "tcp://host", 10, "no port at character 11; expected ':' and a number from 1 to 65535" },
        { "tcp://host:", 11, "port '' at character 12; expected a number from 1 to 65535" },
        { "tcp://host:0", 11, "port '0' at character 12; expected a number from 1 to 65535" },
        { "tcp://host:65536", 11,
          "port '65536' at character 12; expected a number from 1 to 65535" },
        { "tcp://host:99999999999999", 11,
          "port '99999999999999' at character 12; expected a number from 1 to 65535" },
        { "tcp://host:http", 11, "port 'http' at character 12; expected a number from 1 to 65535" },
        { "tcp://host:80/", 13, "a path at character 14; expected '?' or the end" },
        { "tcp://::1:80", 6,
          "'::1:80' at character 7; expected an IPv6 address in brackets, as in [::1]:80" },
        { "tcp://[::1:80", 13, "no ']' at character 14; expected ']' after the IPv6 address" },
        { "tcp://[::g]:80", 7, "'::g' at character 8; expected an IPv6 address such as ::1" },
        { "tcp://[::1%25]:80", 7, "'::1%25' at character 8; expected an IPv6 address such as ::1" },
        { "tcp://[::1]80", 11,
          "no port at character 12; expected ':' and a number from 1 to 65535" },
        { "tcp://ho st:80", 8,
          "' ' in the host at character 9; expected letters, digits, '-', '.', or ':' and a port" },
        { "tcp://hö:80", 7,
          "'ö' in the host at character 8; expected letters, digits, '-', '.', or ':' and a port" },
        { "tcp://h:1?send=a%5cqb", 16,
          "'\\q' at character 17; expected one of \\r \\n \\t \\0 \\\\ \\xNN" },
        { "tcp://h:1?send=%61\\xg0", 18,
          "'\\x' at character 19; expected one of \\r \\n \\t \\0 \\\\ \\xNN" },
        { "tcp://h:1?send=\\", 15,
          "'\\' at character 16; expected one of \\r \\n \\t \\0 \\\\ \\xNN" },
        { "unix:", 5, "no path at character 6; expected /path or @name" },
        { "unix:@", 5, "no path at character 6; expected /path or @name" },
        { "unix:run", 5, "no path at character 6; expected /path or @name" },
};
/* clang-format on */

static void test_refused(void) {
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                CheckSpec spec = { .port = 7 };
                CheckError error = {};
                const char *colon;

                if (check_parse(refused[i].text, &spec, &error) != -EINVAL)
                        g_error("taken: %s", refused[i].text);
                colon = strstr(error.text, refused[i].complaint);
                g_test_message("%s", error.text);
                g_assert_nonnull(colon);
                g_assert_cmpstr(colon, ==, refused[i].complaint);
                g_assert_cmpuint(error.offset, ==, refused[i].offset);
                g_assert_cmpuint(spec.port, ==, 7);
        }
}

static void test_whole_sentence(void) {
        CheckError error;
        CheckSpec spec;

        g_assert_cmpint(check_parse("disk:/var?fre=5%", &spec, &error), ==, -EINVAL);
        g_assert_cmpstr(error.text, ==,
                        "disk:/var?fre=5%: unknown key 'fre' at character 11; "
                        "expected free, inodes, warn");

        /* It goes to the journal and to terminals: one line, and no secrets. */
        g_assert_cmpint(check_parse("tcp://me:hidden@h:1?\x1b[2J=1", &spec, &error), ==, -EINVAL);
        g_assert_null(strstr(error.text, "hidden"));
        g_assert_null(strchr(error.text, '\x1b'));
}

static CheckSpec must_parse(const char *text) {
        CheckError error;
        CheckSpec spec;

        if (check_parse(text, &spec, &error) < 0)
                g_error("%s", error.text);
        return spec;
}

static const struct {
        const char *text, *scheme, *path, *host;
        uint16_t port;
} places[] = {
        { "loop:", "loop", NULL, NULL, 0 },
        { "disk:/var", "disk", "/var", NULL, 0 },
        { "disk:/", "disk", "/", NULL, 0 },
        { "disk:/a%20b%3Fc", "disk", "/a b?c", NULL, 0 },
        { "file:///etc/x", "file", "/etc/x", NULL, 0 },
        { "file:/a&b=c#d", "file", "/a&b=c#d", NULL, 0 },
        { "tcp://localhost:1", "tcp", NULL, "localhost", 1 },
        { "tcp://192.0.2.1:65535", "tcp", NULL, "192.0.2.1", 65535 },
        { "tcp://[::1]:80", "tcp", NULL, "::1", 80 },
        { "tcp://[fe80::1%25eth0]:80", "tcp", NULL, "fe80::1%eth0", 80 },
        { "unix:/run/x", "unix", "/run/x", NULL, 0 },
        { "unix:@name", "unix", "@name", NULL, 0 },
};

static void test_places(void) {
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                CheckSpec spec = must_parse(places[i].text);

                g_assert_cmpstr(spec.scheme->name, ==, places[i].scheme);
                g_assert_cmpstr(spec.path, ==, places[i].path);
                g_assert_cmpstr(spec.host, ==, places[i].host);
                g_assert_cmpuint(spec.port, ==, places[i].port);
                check_spec_done(&spec);
        }
}

static void test_values(void) {
        CheckSpec spec;

        spec = must_parse("disk:/v?warn=2G&free=5%&inodes=5%25");
        g_assert_cmpfloat(spec.values[0].level.percent, ==, 5);
        g_assert_cmpfloat(spec.values[1].level.percent, ==, 5);
        g_assert_cmpuint(spec.values[2].level.amount, ==, UINT64_C(2) << 30);
        g_assert_cmpuint(spec.values[2].offset, ==, strlen("disk:/v?warn="));
        check_spec_done(&spec);

        spec = must_parse("file:/v?max_age=1min 30s&missing=pass&min_size=1K");
        g_assert_cmpuint(spec.values[0].number, ==, 90 * USEC_PER_SEC);
        g_assert_false(spec.values[1].given);
        g_assert_cmpuint(spec.values[2].number, ==, 1024);
        g_assert_cmpuint(spec.values[4].number, ==, 2);
        check_spec_done(&spec);

        spec = must_parse("tcp://h:1?send=PING\\r\\n%00\\0\\x41%26&expect=+PONG\\\\");
        g_assert_cmpmem(spec.values[0].bytes, (int)spec.values[0].length, "PING\r\n\0\0A&", 10);
        g_assert_cmpmem(spec.values[1].bytes, (int)spec.values[1].length, "+PONG\\", 6);
        check_spec_done(&spec);
}

static void test_too_long(void) {
        char text[SPEC_LENGTH_MAX + 2];
        CheckError error;
        CheckSpec spec;

        memset(text, 'a', sizeof(text));
        memcpy(text, "disk:/", 6);
        text[SPEC_LENGTH_MAX + 1] = '\0';
        g_assert_cmpint(check_parse(text, &spec, &error), ==, -EINVAL);
        g_assert_cmpuint(error.offset, ==, SPEC_LENGTH_MAX);
        g_assert_true(g_str_has_suffix(error.text, "more at character 2049; expected the end"));

        text[SPEC_LENGTH_MAX] = '\0';
        g_assert_cmpint(check_parse(text, &spec, &error), ==, 0);
        check_spec_done(&spec);

        /* 107 bytes and the NUL are what sockaddr_un takes. */
        memcpy(text, "unix:/", 6);
        text[5 + 107] = '\0';
        g_assert_cmpint(check_parse(text, &spec, &error), ==, 0);
        check_spec_done(&spec);
        text[5 + 107] = 'a';
        text[5 + 108] = '\0';
        g_assert_cmpint(check_parse(text, &spec, &error), ==, -EINVAL);
        g_assert_cmpuint(error.offset, ==, 5);
}

/* Any bytes, each written as it is or as %XX. */
static void test_encoding(void) {
        for (unsigned n = 0; n < 2000; n++) {
                char path[64] = "/", text[256] = "disk:/";
                size_t length = (size_t)g_test_rand_int_range(1, 62);
                CheckSpec spec;

                for (size_t i = 1; i <= length; i++) {
                        unsigned char byte = (unsigned char)g_test_rand_int_range(1, 256);
                        bool plain = g_ascii_isalnum(byte) || (i > 1 && byte == '/');

                        path[i] = (char)byte;
                        path[i + 1] = '\0';
                        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
                                       plain && g_test_rand_bit() ? "%c" : "%%%02x", byte);
                }

                spec = must_parse(text);
                g_assert_cmpstr(spec.path, ==, path);
                check_spec_done(&spec);
        }
}

static void test_mutations(void) {
        for (unsigned n = 0; n < 20000; n++) {
                size_t which = (size_t)g_test_rand_int_range(0, ELEMENTSOF(places));
                char text[256];
                CheckError error = {};
                CheckSpec spec;

                (void)snprintf(text, sizeof(text), "%s?warn=5%%&free=1K", places[which].text);
                text[g_test_rand_int_range(0, (int)strlen(text))] =
                        "?&=%:/@[]\\ax0\xff\x01 "[g_test_rand_int_range(0, 16)];

                if (check_parse(text, &spec, &error) < 0) {
                        g_assert_cmpuint(error.offset, <=, strlen(text));
                        g_assert_true(g_utf8_validate(error.text, -1, NULL));
                } else
                        check_spec_done(&spec);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/spec/refused-at-the-place", test_refused);
        g_test_add_func("/check/spec/whole-sentence", test_whole_sentence);
        g_test_add_func("/check/spec/places", test_places);
        g_test_add_func("/check/spec/values", test_values);
        g_test_add_func("/check/spec/too-long", test_too_long);
        g_test_add_func("/check/spec/any-bytes-as-percent", test_encoding);
        g_test_add_func("/check/spec/one-byte-changed", test_mutations);
        return g_test_run();
}
