/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links of a running service as a client of the bus sees them
 *
 * They are shown as the public calls say they are, whatever changes is told with
 * what it has changed to, one that was added late is announced, and Reopen() makes a
 * new connection of exactly the link that was meant.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include "lib/manager.h"

#define NAME "org.hale.Subject"
#define LINKS "/org/hale/Health1/links/"

typedef struct Client {
        char *address;
        GPid daemon;
        sd_bus *bus;
        char told[512]; /* the states of "db", as they came */
        unsigned n_added;
        sd_bus_message *reply;
} Client;

static void die_with_parent(gpointer data) {
        (void)data;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Client *client = userdata;
        const char *interface, *name, *state;

        (void)error;
        if (!g_str_equal(sd_bus_message_get_path(message), LINKS "db"))
                return 0;

        /* State is the first. */
        g_assert_cmpint(sd_bus_message_read(message, "s", &interface), >, 0);
        g_assert_cmpstr(interface, ==, "org.hale.Link1");
        g_assert_cmpint(sd_bus_message_enter_container(message, 'a', "{sv}"), >, 0);
        g_assert_cmpint(sd_bus_message_read(message, "{sv}", &name, "s", &state), >, 0);
        g_assert_cmpstr(name, ==, "State");
        g_strlcat(client->told, state, sizeof(client->told));
        g_strlcat(client->told, " ", sizeof(client->told));
        return 0;
}

static int on_added(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Client *client = userdata;
        const char *path;

        (void)error;
        g_assert_cmpint(sd_bus_message_read(message, "o", &path), >, 0);
        client->n_added += g_str_equal(path, LINKS "late");
        return 0;
}

static void client_start_daemon(Client *client) {
        const char *arguments[] = { "dbus-daemon", "--session",         "--nofork",
                                    "--nopidfile", "--print-address=1", NULL };
        g_autoptr(GError) error = NULL;
        char line[512] = "";
        int out;

        g_assert_true(g_spawn_async_with_pipes(NULL, (char **)arguments, NULL,
                                               G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                                       G_SPAWN_STDERR_TO_DEV_NULL,
                                               die_with_parent, NULL, &client->daemon, NULL, &out,
                                               NULL, &error));
        g_assert_no_error(error);
        g_assert_cmpint(read(out, line, sizeof(line) - 1), >, 0);
        close(out);
        client->address = g_strdup(g_strstrip(line));
        g_assert_true(g_setenv("DBUS_SYSTEM_BUS_ADDRESS", client->address, TRUE));
        g_assert_true(g_setenv("DBUS_SESSION_BUS_ADDRESS", client->address, TRUE));
}

/* In the loop of the service: nothing here may wait for itself. */
static void client_connect(Client *client, hale_service *service) {
        g_assert_cmpint(sd_bus_new(&client->bus), >=, 0);
        g_assert_cmpint(sd_bus_set_address(client->bus, client->address), >=, 0);
        g_assert_cmpint(sd_bus_set_bus_client(client->bus, 1), >=, 0);
        g_assert_cmpint(sd_bus_start(client->bus), >=, 0);
        g_assert_cmpint(sd_bus_attach_event(client->bus, hale_service_get_event(service), 0), >=,
                        0);
        g_assert_true(turn_until(service, sd_bus_is_ready(client->bus) > 0));
        g_assert_cmpint(sd_bus_match_signal_async(client->bus, NULL, NULL, NULL,
                                                  "org.freedesktop.DBus.Properties",
                                                  "PropertiesChanged", on_changed, NULL, client),
                        >=, 0);
        g_assert_cmpint(sd_bus_match_signal_async(client->bus, NULL, NULL, NULL,
                                                  "org.freedesktop.DBus.ObjectManager",
                                                  "InterfacesAdded", on_added, NULL, client),
                        >=, 0);
}

static void client_done(Client *client) {
        sd_bus_message_unref(client->reply);
        sd_bus_close_unref(client->bus);
        g_assert_cmpint(kill(client->daemon, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(client->daemon, NULL, 0), ==, client->daemon);
        g_free(client->address);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        (void)error;
        ((Client *)userdata)->reply = sd_bus_message_ref(reply);
        return 0;
}

/* Calls, and returns the name of the error, or "". */
static const char *call(Client *client,
                        hale_service *service,
                        const char *path,
                        const char *interface,
                        const char *member,
                        const char *a,
                        const char *b) {
        sd_bus_message *message;
        const sd_bus_error *error;

        client->reply = sd_bus_message_unref(client->reply);
        g_assert_cmpint(sd_bus_message_new_method_call(client->bus, &message, NAME, path, interface,
                                                       member),
                        >=, 0);
        if (a)
                g_assert_cmpint(sd_bus_message_append(message, "s", a), >=, 0);
        if (b)
                g_assert_cmpint(sd_bus_message_append(message, "s", b), >=, 0);
        g_assert_cmpint(sd_bus_call_async(client->bus, NULL, message, on_reply, client, LIMIT_USEC),
                        >=, 0);
        sd_bus_message_unref(message);
        g_assert_true(turn_until(service, client->reply));
        error = sd_bus_message_get_error(client->reply);
        return error ? error->name : "";
}

static const char *get(Client *client, hale_service *service, const char *link, const char *name) {
        g_autofree char *path = g_strconcat(LINKS, link, NULL);
        const char *value;

        g_assert_cmpstr(call(client, service, path, "org.freedesktop.DBus.Properties", "Get",
                             "org.hale.Link1", name),
                        ==, "");
        g_assert_cmpint(sd_bus_message_read(client->reply, "v", "s", &value), >, 0);
        return value;
}

static int link_open(hale_link *link, void *userdata) {
        (void)link;
        (*(unsigned *)userdata)++;
        return 0;
}

static const hale_link_ops ops = { .open = link_open };

/* Until a client finds the service. */
static void await_name(Client *client, hale_service *service) {
        g_assert_true(turn_until(service,
                                 g_str_equal(call(client, service, "/org/hale/Health1",
                                                  "org.freedesktop.DBus.Peer", "Ping", NULL, NULL),
                                             "")));
}

static void test_links(void) {
        g_autofree char *program = g_find_program_in_path("dbus-daemon");
        hale_service *service = service_of_test();
        unsigned n_db = 0, n_late = 0;
        Client client = {};
        hale_link *db;

        if (!program) {
                hale_service_unref(service);
                g_test_skip("no dbus-daemon");
                return;
        }

        client_start_daemon(&client);
        g_assert_cmpint(hale_service_add_link(service, &db, "db", &ops, &n_db), ==, 0);
        g_assert_cmpint(hale_link_set_backoff_usec(db, 2000, 5000), ==, 0);
        g_assert_cmpint(hale_service_add_link(service, NULL, "told", NULL, NULL), ==, 0);
        g_assert_cmpint(hale_service_set_bus_name(service, NAME), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        client_connect(&client, service);
        await_name(&client, service);
        g_assert_true(turn_until(service, hale_link_is_up(db)));

        g_assert_cmpstr(get(&client, service, "db", "State"), ==, "up");
        g_assert_cmpstr(get(&client, service, "db", "Kind"), ==, "kept");
        g_assert_cmpstr(get(&client, service, "told", "Kind"), ==, "told");
        g_assert_cmpstr(get(&client, service, "told", "State"), ==, "down");

        client.told[0] = '\0';
        g_assert_cmpint(hale_link_down(db, "gone"), ==, HALE_REPORTED);
        g_assert_cmpstr(get(&client, service, "db", "Reason"), ==, hale_link_get_reason(db));
        g_assert_true(turn_until(service, strstr(client.told, "down connecting up ")));

        /* By the object, and by its name: one new connection each, and none of the other. */
        g_assert_cmpuint(n_db, ==, 2);
        g_assert_cmpstr(call(&client, service, LINKS "db", "org.hale.Link1", "Reopen", NULL, NULL),
                        ==, "");
        g_assert_true(turn_until(service, n_db == 3 && hale_link_is_up(db)));
        g_assert_cmpstr(call(&client, service, "/org/hale/Health1", "org.hale.Health1",
                             "ReopenLink", "db", NULL),
                        ==, "");
        g_assert_true(turn_until(service, n_db == 4 && hale_link_is_up(db)));
        g_assert_cmpstr(call(&client, service, LINKS "told", "org.hale.Link1", "Reopen", NULL,
                             NULL),
                        ==, SD_BUS_ERROR_NOT_SUPPORTED);

        g_assert_cmpint(hale_service_add_link(service, NULL, "late", &ops, &n_late), ==, 0);
        g_assert_true(turn_until(service, client.n_added == 1));
        g_assert_true(turn_until(service, n_late == 1));
        g_assert_cmpstr(get(&client, service, "late", "State"), ==, "up");

        hale_link_unref(db);
        client_done(&client);
        hale_service_unref(service);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/bus/links", test_links);
        return g_test_run();
}
