#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""/metrics of a running service, judged by others: promtool and prometheus_client's parsers. Every
family that is promised is there, and the figures are those that were seen from outside.

usage: test_metrics.py METRICS-SERVICE
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as prometheus
except ImportError:
    # The distribution's packages are there for the distribution's interpreter.
    OTHER = "/usr/bin/python3"
    if os.access(OTHER, os.X_OK) and os.path.realpath(OTHER) != os.path.realpath(sys.executable):
        os.execv(OTHER, [OTHER, "-B", *sys.argv])
    print("skipped: prometheus_client is missing (package python3-prometheus-client)")
    sys.exit(77)

LIMIT_SEC = 20
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

PROMETHEUS_2 = ("application/openmetrics-text;version=1.0.0,"
                "application/openmetrics-text;version=0.0.1;q=0.75,"
                "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
PROMETHEUS_3 = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "application/openmetrics-text;version=0.0.1;q=0.5,"
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")

# As OpenMetrics names them. Not among them: hale_restarts, hale_fdstore_fds and
# hale_pressure_events, which need a manager that tells, and a kernel.
FAMILIES = {
    "hale_build": "info", "hale_service": "info", "hale_health_status": "stateset",
    "hale_live": "gauge", "hale_ready": "gauge", "hale_maintenance": "gauge",
    "hale_status_transitions": "counter", "hale_probe_status": "stateset",
    "hale_probe_runs": "counter", "hale_probe_duration_seconds": "histogram",
    "hale_probe_last_run_timestamp_seconds": "gauge",
    "hale_probe_last_success_timestamp_seconds": "gauge",
    "hale_probe_consecutive_failures": "gauge", "hale_probe_interval_seconds": "gauge",
    "hale_probe_timeout_seconds": "gauge", "hale_watchdog_enabled": "gauge",
    "hale_watchdog_gate_open": "gauge", "hale_watchdog_timeout_seconds": "gauge",
    "hale_watchdog_last_ping_timestamp_seconds": "gauge", "hale_watchdog_pings": "counter",
    "hale_watchdog_withheld": "counter", "hale_watchdog_triggers": "counter",
    "hale_event_loop_lag_seconds": "histogram", "hale_notify_messages": "counter",
    "hale_notify_errors": "counter", "hale_http_requests": "counter",
    "hale_http_request_duration_seconds": "histogram", "hale_http_connections": "gauge",
    "hale_dns_workers_busy": "gauge", "hale_worker_state": "stateset",
    "hale_worker_restarts": "counter", "hale_worker_exits": "counter", "hale_rehearsal": "gauge",
    "hale_remedy_runs": "counter", "hale_link_state": "stateset",
    "hale_link_attempts": "counter", "hale_metrics_truncated": "gauge", "hale_probes": "gauge",
    "process_cpu_seconds": "counter", "process_open_fds": "gauge", "process_max_fds": "gauge",
    "process_virtual_memory_bytes": "gauge", "process_virtual_memory_max_bytes": "gauge",
    "process_resident_memory_bytes": "gauge", "process_heap_bytes": "gauge",
    "process_start_time_seconds": "gauge", "process_threads": "gauge",
}


class LocalConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_SEC)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT_SEC)
        self.sock.connect(self.path)


class Service:
    """The service, and what stands in for its manager."""

    def __init__(self, *args, **environment):
        self.folder = tempfile.mkdtemp(prefix="hale-metrics-")
        self.path = os.path.join(self.folder, "http")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.path.join(self.folder, "notify"))
        self.notify.settimeout(LIMIT_SEC)
        self.messages = []
        self.started = time.time()
        env = dict(os.environ, NOTIFY_SOCKET=os.path.join(self.folder, "notify"),
                   WATCHDOG_USEC="600000", INVOCATION_ID="0123456789abcdef" * 2, **environment)
        env.pop("WATCHDOG_PID", None)
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([SERVICE, self.path, *args], env=env,
                                        stdin=subprocess.DEVNULL)
        while not any("READY=1" in m.split("\n") for m in self.messages):
            self.messages.append(self.notify.recv(8192).decode())

    def read_messages(self):
        self.notify.setblocking(False)
        try:
            while True:
                self.messages.append(self.notify.recv(8192).decode())
        except BlockingIOError:
            pass
        return self.messages

    def get(self, path, accept=None, method="GET"):
        """Status, headers and body, over a connection of its own."""
        connection = LocalConnection(self.path)
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, body

    def scrape(self):
        """{(name, labels): value} of the families, which are parsed as OpenMetrics."""
        families = list(openmetrics(self.get("/metrics", PROMETHEUS_2)[2]))
        return {(s.name, frozenset(s.labels.items())): s.value
                for family in families for s in family.samples}

    def value(self, name, **labels):
        return self.scrape().get((name, frozenset(labels.items())))

    def stop(self):
        self.process.terminate()
        status = self.process.wait(LIMIT_SEC)
        self.notify.close()
        shutil.rmtree(self.folder)
        return status


def wait_until(condition):
    end = time.monotonic() + LIMIT_SEC
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Metrics(unittest.TestCase):
    def setUp(self):
        self.service = Service()

    def tearDown(self):
        self.assertEqual(self.service.stop(), 0)

    def signal(self, number):
        self.service.process.send_signal(number)

    def turn_sick(self):
        self.signal(signal.SIGUSR1)
        self.assertTrue(wait_until(lambda: self.service.get("/readyz")[0] == 503))

    def test_promtool(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is missing (package prometheus)")
        said = subprocess.run(["promtool", "check", "metrics"], text=True, capture_output=True,
                              input=self.service.get("/metrics")[2], check=False,
                              timeout=LIMIT_SEC)
        self.assertEqual((said.returncode, said.stdout + said.stderr), (0, ""))

    def test_families(self):
        self.service.get("/livez")
        found = {f.name: f.type for f in openmetrics(self.service.get("/metrics", OPEN_TYPE)[2])}
        for name, kind in FAMILIES.items():
            self.assertEqual(found.get(name), kind, name)

    def test_manual(self):
        """Whoever finds a series finds in hale-metrics(7) what it means."""
        page = pathlib.Path(__file__, "../../../man/hale-metrics.7").resolve().read_text("utf-8")
        for family in openmetrics(self.service.get("/metrics", OPEN_TYPE)[2]):
            self.assertIn(family.name, page)

    def test_formats_have_the_same_series(self):
        def series(families):
            return {(s.name, frozenset(s.labels.items())) for f in families for s in f.samples}

        def agree():
            return (series(openmetrics(self.service.get("/metrics?format=openmetrics")[2])) ==
                    series(prometheus(self.service.get("/metrics?format=prometheus")[2])))

        self.assertTrue(wait_until(agree))

    def test_negotiation(self):
        for accept, expected in (
                (None, TEXT_TYPE), ("*/*", TEXT_TYPE), ("text/plain", TEXT_TYPE),
                ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT_TYPE),
                ("application/json", TEXT_TYPE), ("rubbish", TEXT_TYPE),
                ("application/openmetrics-text;version=2.0.0", TEXT_TYPE),
                ("application/openmetrics-text;version=0.0.1", TEXT_TYPE),
                ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.5", TEXT_TYPE),
                ("application/openmetrics-text;q=0", TEXT_TYPE),
                ("application/openmetrics-text", OPEN_TYPE),
                ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPEN_TYPE),
                (PROMETHEUS_2, OPEN_TYPE), (PROMETHEUS_3, OPEN_TYPE),
                (PROMETHEUS_3.replace("allow-utf-8", "underscores"), OPEN_TYPE)):
            status, headers, body = self.service.get("/metrics", accept)
            self.assertEqual((status, headers["Content-Type"]), (200, expected), accept)
            self.assertEqual(body.endswith("# EOF\n"), expected == OPEN_TYPE)

    def test_head(self):
        status, headers, body = self.service.get("/metrics", method="HEAD")
        self.assertEqual((status, body), (200, ""))
        self.assertGreater(int(headers["Content-Length"]), 1000)
        self.assertEqual(self.service.get("/metrics/ready")[0], 404)

    def test_agrees_with_the_other_pages(self):
        value = self.service.value
        self.assertEqual(value("hale_ready"), 1)
        self.turn_sick()

        # At once, and still 200: what is sick is not the scrape.
        self.assertEqual(self.service.get("/metrics")[0], 200)
        self.assertEqual(value("hale_ready"), 0)
        self.assertEqual(value("hale_live"), 1)
        self.assertEqual(value("hale_health_status", hale_health_status="fail"), 1)
        self.assertEqual(value("hale_probe_status", probe="ready", hale_probe_status="fail"), 1)
        self.assertEqual(value("hale_link_state", link="db", hale_link_state="down"), 1)
        before = value("hale_status_transitions_total", **{"from": "fail", "to": "warn"})

        self.signal(signal.SIGUSR2)
        self.assertTrue(wait_until(lambda: self.service.get("/readyz")[0] == 200))
        self.assertEqual(value("hale_ready"), 1)
        self.assertEqual(value("hale_link_state", link="db", hale_link_state="up"), 1)
        self.assertEqual(value("hale_link_connections_total", link="db"), 1)
        self.assertEqual(value("hale_status_transitions_total", **{"from": "fail", "to": "warn"}),
                         before + 1)
        self.assertEqual(value("hale_probe_status", probe="pushed", hale_probe_status="warn"), 1)

    def test_probes(self):
        def complete():
            return all((value("hale_probe_runs_total", probe=p, result=r) or 0) >= 3 for p, r in (
                ("ready", "pass"), ("secret", "fail"), ("slow", "timeout"), ("blocking", "pass"),
                ("absent", "fail")))

        value = self.service.value
        self.assertTrue(wait_until(complete))
        samples = self.service.scrape()
        probes = ["ready", "secret", "slow", "blocking", "live", "absent", "loop"]
        for probe in probes:
            runs = sum(v for (name, labels), v in samples.items()
                       if name == "hale_probe_runs_total" and ("probe", probe) in labels)
            own = frozenset({("probe", probe)})
            self.assertEqual(samples[("hale_probe_duration_seconds_count", own)], runs, probe)
            self.assertEqual(samples[("hale_probe_interval_seconds", own)], 0.1)
            seen = samples[("hale_probe_last_run_timestamp_seconds", own)]
            self.assertTrue(self.service.started - 1 <= seen <= time.time() + 1, seen)

        slow = frozenset({("probe", "slow")})
        mean = (samples[("hale_probe_duration_seconds_sum", slow)] /
                samples[("hale_probe_duration_seconds_count", slow)])
        self.assertGreaterEqual(mean, 0.02)
        self.assertNotIn(("hale_probe_duration_seconds_count", frozenset({("probe", "pushed")})),
                         samples)
        self.assertGreaterEqual(value("hale_probe_consecutive_failures", probe="secret"), 3)
        self.assertEqual(value("hale_probes", verdict="fail"), 3)
        self.assertEqual(value("hale_metrics_truncated"), 0)

    def test_no_outputs(self):
        self.assertTrue(wait_until(lambda: "s3cret" in self.service.get("/health")[2]))
        for accept in (TEXT_TYPE, OPEN_TYPE):
            self.assertNotIn("s3cret", self.service.get("/metrics", accept)[2])

    def test_watchdog_and_notify(self):
        def pings():
            return sum("WATCHDOG=1" in m for m in self.service.read_messages())

        value = self.service.value
        self.assertTrue(wait_until(lambda: pings() >= 3))
        self.assertEqual(value("hale_watchdog_timeout_seconds"), 0.6)
        self.assertTrue(wait_until(lambda: value("hale_watchdog_pings_total") >= 3))
        self.assertLessEqual(value("hale_watchdog_pings_total"), pings())
        self.assertTrue(wait_until(lambda: value("hale_notify_messages_total") >= 4))
        self.assertLessEqual(value("hale_notify_messages_total"),
                             len(self.service.read_messages()))
        self.assertAlmostEqual(value("hale_watchdog_last_ping_timestamp_seconds"), time.time(),
                               delta=5)

    def test_http_counts(self):
        def requests(code, handler):
            return self.service.value("hale_http_requests_total", code=code, handler=handler)

        for _ in range(5):
            self.service.get("/livez")
        self.service.get("/livez/nothing")
        self.service.get("/nowhere")
        self.service.get("/livez", method="DELETE")
        self.assertTrue(wait_until(lambda: requests("405", "refused") == 1))
        self.assertEqual(requests("200", "livez"), 5)
        self.assertEqual(requests("404", "livez"), 1)
        self.assertEqual(requests("404", "other"), 1)
        self.assertEqual(
            self.service.value("hale_http_request_duration_seconds_count", handler="livez"), 6)

    def test_worker(self):
        value = self.service.value
        self.assertTrue(wait_until(
            lambda: value("hale_worker_restarts_total", worker="fitful") == 1 and
            value("hale_worker_state", worker="fitful", hale_worker_state="running") == 1))
        self.assertEqual(value("hale_worker_exits_total", worker="fitful", reason="status"), 1)
        self.assertEqual(value("hale_worker_exits_total", worker="fitful", reason="oom"), 0)

    def test_remedy(self):
        self.assertTrue(wait_until(lambda: (self.service.value(
            "hale_remedy_runs_total", probe="secret", remedy="vain", result="no-help") or 0) >= 1))
        self.assertEqual(self.service.value(
            "hale_remedy_runs_total", probe="secret", remedy="vain", result="healed"), 0)

    def test_process(self):
        samples = self.service.scrape()
        folder = f"/proc/{self.service.process.pid}"
        none = frozenset()
        self.assertAlmostEqual(samples[("process_start_time_seconds", none)], self.service.started,
                               delta=2)
        self.assertAlmostEqual(samples[("process_open_fds", none)],
                               len(os.listdir(folder + "/fd")), delta=3)

        def status(key):
            with open(folder + "/status", encoding="utf-8") as lines:
                return int(dict(line.split(":\t", 1) for line in lines)[key].split()[0])

        # Threads come and go, and the figures are up to a second old.
        self.assertTrue(wait_until(
            lambda: self.service.value("process_threads") == status("Threads")))
        self.assertAlmostEqual(samples[("process_resident_memory_bytes", none)],
                               status("VmRSS") * 1024, delta=8 << 20)

    def test_pressure(self):
        # A pipe instead of the kernel's file is what the protocol allows: systemd.io/MEMORY_PRESSURE
        folder = tempfile.mkdtemp(prefix="hale-pressure-")
        watch = os.path.join(folder, "watch")
        os.mkfifo(watch)
        service = Service(MEMORY_PRESSURE_WATCH=watch)

        def events():
            return service.value("hale_pressure_events_total", resource="memory")

        try:
            self.assertEqual(events(), 0)
            for n in range(1, 3):
                with open(watch, "w", encoding="utf-8") as pipe:
                    pipe.write("x")
                self.assertTrue(wait_until(lambda told=n: events() == told))
        finally:
            self.assertEqual(service.stop(), 0)
            shutil.rmtree(folder)

    def test_no_pressure_where_nobody_tells(self):
        service = Service(MEMORY_PRESSURE_WATCH="/dev/null")
        try:
            self.assertIsNone(service.value("hale_pressure_events_total", resource="memory"))
        finally:
            self.assertEqual(service.stop(), 0)

    def test_kept_for_a_second(self):
        # Two in a row are the same bytes, but where a second or a verdict has just passed.
        def same():
            return self.service.get("/metrics")[2] == self.service.get("/metrics")[2]

        self.assertTrue(wait_until(same))
        first = self.service.get("/metrics")[2]
        self.assertTrue(wait_until(lambda: self.service.get("/metrics")[2] != first))


class OverTheBus(unittest.TestCase):
    def test_reports(self):
        if not shutil.which("dbus-daemon") or not shutil.which("busctl"):
            self.skipTest("dbus-daemon or busctl is missing")
        with subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address=1"],
                              stdout=subprocess.PIPE, text=True) as daemon:
            try:
                address = daemon.stdout.readline().strip()
                service = Service("org.hale.Scraped", DBUS_SYSTEM_BUS_ADDRESS=address)
                try:
                    self.ask(address)
                finally:
                    service.stop()
            finally:
                daemon.terminate()

    def ask(self, address):
        def report(kind):
            said = subprocess.run(
                ["busctl", "--address=" + address, "--json=short", "call", "org.hale.Scraped",
                 "/org/hale/Health1", "org.hale.Health1", "GetReport", "s", kind],
                capture_output=True, text=True, check=False, timeout=LIMIT_SEC)
            return json.loads(said.stdout)["data"][0] if said.stdout else None

        self.assertTrue(wait_until(lambda: report("text")))
        self.assertIn("hale_ready", {f.name for f in openmetrics(report("openmetrics"))})
        self.assertIn("hale_ready", {f.name for f in prometheus(report("prometheus"))})
        self.assertIsNone(report("verse"))


if __name__ == "__main__":
    SERVICE = sys.argv.pop(1)
    unittest.main(verbosity=2)
