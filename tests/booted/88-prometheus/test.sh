#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a real Prometheus scrapes the service; Alertmanager is told when it is sick, and when healed
. /run/booted/lib.sh

rules=/usr/share/hale/hale.rules.yml
folder=/run/monitoring
alerts=$folder/alerts

for program in prometheus prometheus-alertmanager; do
    if [ ! -x "$(command -v $program)" ]; then
        trap - EXIT
        echo "1..0 # SKIP $program is missing (package $program)"
        exit 0
    fi
done

# run_daemon NAME COMMAND...: in a unit of its own; the packages' units have other names and folders
run_daemon() {
    local name=$1

    shift
    systemd-run --quiet --unit="monitoring-$name" --property=WorkingDirectory=$folder "$@"
}

write_configuration() {
    mkdir -p $folder
    : > $alerts
    # The installed alerts, but without their patience: a test has none.
    sed -E 's/^( *)for: .*/\1for: 0s/' $rules > $folder/rules.yml
    cat > $folder/prometheus.yml <<END
global: { scrape_interval: 200ms, evaluation_interval: 200ms }
rule_files: [rules.yml]
alerting:
  alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:9093"] }] }]
scrape_configs:
  - job_name: hale
    static_configs: [{ targets: ["127.0.0.1:9180"] }]
END
    cat > $folder/alertmanager.yml <<END
route: { receiver: here, group_by: [alertname, probe], group_wait: 0s, group_interval: 1s }
receivers:
  - name: here
    webhook_configs: [{ url: "http://127.0.0.1:9099/", send_resolved: true }]
END
}

query() { # EXPRESSION: the values that Prometheus has for it now
    curl --silent --show-error --max-time 5 --get --data-urlencode "query=$1" \
        http://127.0.0.1:9090/api/v1/query |
        python3 -c 'import json, sys
for row in json.load(sys.stdin)["data"]["result"]: print(row["value"][1])'
}

knows() { # EXPRESSION VALUE
    local value

    value=$(query "$1")
    [ "$value" = "$2" ] || { echo "$1 is '$value'"; return 1; }
}

was_told() { # ALERT STATUS PROBE
    grep -qx "$*" $alerts || { cat $alerts; return 1; }
}

was_not_told() { # ALERT
    ! grep "^$1 " $alerts
}

write_configuration
systemctl start $demo hale-demo-http.socket
run_daemon receiver python3 -B /run/booted/88-prometheus/receiver.py 9099 $alerts
run_daemon alertmanager prometheus-alertmanager --config.file=$folder/alertmanager.yml \
    --storage.path=$folder/alertmanager --web.listen-address=127.0.0.1:9093 \
    --cluster.listen-address=
run_daemon prometheus prometheus --config.file=$folder/prometheus.yml \
    --storage.tsdb.path=$folder/prometheus --web.listen-address=127.0.0.1:9090

check "Prometheus takes the alerts and comes up" wait_until 30 curl -sf http://127.0.0.1:9090/-/ready ||
    exit 1
check "Alertmanager comes up" wait_until 30 curl -sf http://127.0.0.1:9093/-/ready ||
    exit 1
check "the scrape succeeds" wait_until 10 knows up 1
check "the service is ready, as Prometheus sees it" wait_until 10 knows hale_ready 1
check "it pings its watchdog" wait_until 20 knows 'hale_watchdog_pings_total > bool 0' 1
check "it is known by its unit" wait_until 5 knows 'hale_service_info{unit="hale-demo.service"}' 1
check "its probes are there" knows 'scrape_samples_scraped > bool 150' 1
check "the start time is the unit's" wait_until 5 bash -c "
    . <(sed -n '/^query()/,/^}/p' /run/booted/88-prometheus/test.sh)
    begun=\$(date -d \"\$(systemctl show -P ExecMainStartTimestamp $demo)\" +%s)
    seen=\$(query process_start_time_seconds)
    [ \$((\${seen%.*} - begun)) -ge -1 ] && [ \$((\${seen%.*} - begun)) -le 1 ]"
check "nobody is alerted about a service that is well" was_not_told Hale

sicken ready
check "it turns sick" wait_until 10 answers /readyz 503
check "/metrics goes on answering 200" answers /metrics 200
check "Prometheus sees it" wait_until 10 knows hale_ready 0
check "Alertmanager is told that it is not ready" wait_until 20 was_told HaleNotReady firing -
check "and which probe fails" wait_until 20 was_told HaleProbeFailing firing orders
check "and not that it is dead" was_not_told HaleNotLive

heal
check "it is healed" wait_until 10 answers /readyz 200
check "Alertmanager is told that it is ready again" wait_until 20 was_told HaleNotReady resolved -
check "and that the probe passes" wait_until 20 was_told HaleProbeFailing resolved orders

pid=$(show MainPID)
sicken live
check "systemd restarts what is not live" wait_until 20 bash -c "
    pid=\$(systemctl show -P MainPID $demo); [ \$pid != 0 ] && [ \$pid != $pid ]"
heal
check "it is ready again" wait_until 20 answers /readyz 200
check "Prometheus sees that it is another process" \
    wait_until 10 knows 'changes(process_start_time_seconds[1m]) > bool 0' 1
check "and that it is live" wait_until 10 knows hale_live 1
check "and how often it was restarted" wait_until 10 knows hale_restarts 1
check "and how the last run ended" wait_until 10 knows 'hale_previous_run_info{result="trigger"}' 1

stop
check "a service that is gone is missed" wait_until 20 was_told HaleAbsent firing -
systemctl start hale-demo-http.socket $demo
check "until it is back" wait_until 20 was_told HaleAbsent resolved -
check "no alert is left" wait_until 20 knows 'count(ALERTS{alertstate="firing"}) or vector(0)' 0

systemctl stop monitoring-{prometheus,alertmanager,receiver}
