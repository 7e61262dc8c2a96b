#!/bin/bash
# Patroni (two PostgreSQL nodes) on three members as Pigsty sets them up: mutual TLS for clients and
# peers, one certificate for each member, RBAC with one user for the PostgreSQL cluster. Members are
# killed and restarted, quorum is lost; certificates are replaced and the authority is exchanged
# while all of it runs. Exit status = failed checks.
#   SHARED_LAB=../shared/lab ETCD_CMD="node dist/etcd.js" ETCDCTL=etcdctl test/lab/secure-cluster.sh
# Needs root, for a network namespace of its own, and what the labs there need. PATRONI_CMD as there.
if [ "${LAB_NS:-}" = "" ] && [ "$(id -u)" = 0 ]; then
  export LAB_NS=1
  exec unshare -n bash -c 'ip link set lo up; exec bash "$0" "$@"' "$0" "$@"
fi
SHARED_LAB=${SHARED_LAB:-$(cd "$(dirname "$0")/../../.." && pwd)/shared/lab}
export LAB=${LAB:-$(mktemp -d "${TMPDIR:-/tmp}/patroni-lab.XXXXXX")}
export LAB_HOME=$SHARED_LAB PROXY_PORT=0 ETCD_TLS=1 ETCD_AUTH=lab:lab-password SCOPE=lab
. "$SHARED_LAB/env.sh"
ETCDCTL=${ETCDCTL:-etcdctl}
B=${BASE_PORT:-44000}
MEMBERS='0 1 2'
TLS=$LAB/tls
client_port() { echo $((B + 10 * $1)); }
EP=; IC=; HOSTS=
for i in $MEMBERS; do
  EP=$EP,https://127.0.0.1:$(client_port "$i")
  IC=$IC,etcd-$i=https://127.0.0.1:$((B + 10 * i + 1))
  HOSTS="$HOSTS, \"127.0.0.1:$(client_port "$i")\""
done
EP=${EP#,}; IC=${IC#,}; export LAB_HOSTS=${HOSTS#, }

check() { # check DESCRIPTION command...
  local what=$1; shift
  if "$@" >/dev/null 2>&1; then log "ok   $what"; else log "FAIL $what"; FAILS=$((FAILS + 1)); fi
}

# -- certificates: none has extended usages, all have a CN; files change at one stroke
authority() { # authority NAME
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$1" \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature \
    -keyout "$TLS/$1.key" -out "$TLS/$1.crt" 2>/dev/null
}
issue() { # issue AUTHORITY NAME: NAME.key and NAME.crt change together, through a link to both
  local new; new=$(mktemp -d "$TLS/$2.XXXXXX"); chmod 755 "$new"
  openssl req -newkey rsa:2048 -nodes -subj "/O=pigsty/OU=etcd/CN=$2" \
    -keyout "$new/key" -out "$new/csr" 2>/dev/null
  printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:%s\n' "$2" >"$new/ext"
  openssl x509 -req -in "$new/csr" -CA "$TLS/$1.crt" -CAkey "$TLS/$1.key" -CAcreateserial \
    -days 30 -extfile "$new/ext" -out "$new/crt" 2>/dev/null
  chown -R postgres:postgres "$new"
  ln -s "$new" "$TLS/$2.new"; mv -T "$TLS/$2.new" "$TLS/$2"
  ln -sf "$2/key" "$TLS/$2.key"; ln -sf "$2/crt" "$TLS/$2.crt"
}
trust() { # trust AUTHORITY...
  local a; for a in "$@"; do cat "$TLS/$a.crt"; done >"$TLS/ca.new"; mv "$TLS/ca.new" "$TLS/ca.crt"
}

# -- members
member_conf() { # member_conf I
  local c p; c=$(client_port "$1"); p=$((c + 1))
  cat <<YML
name: etcd-$1
data-dir: $LAB/etcd-$1
initial-cluster-token: etcd
initial-cluster-state: new
initial-cluster: $IC
initial-advertise-peer-urls: https://127.0.0.1:$p
listen-peer-urls: https://127.0.0.1:$p
listen-client-urls: https://127.0.0.1:$c
advertise-client-urls: https://127.0.0.1:$c
election-timeout: 1000
heartbeat-interval: 100
quota-backend-bytes: 8589934592
auto-compaction-mode: periodic
auto-compaction-retention: "24h"
client-transport-security: {cert-file: $TLS/etcd-$1.crt, key-file: $TLS/etcd-$1.key, trusted-ca-file: $TLS/ca.crt}
peer-transport-security: {cert-file: $TLS/etcd-$1.crt, key-file: $TLS/etcd-$1.key, trusted-ca-file: $TLS/ca.crt}
YML
}
member() { # member I
  member_conf "$1" >"$LAB/etcd-$1.yml"
  ( setsid $ETCD_CMD --config-file "$LAB/etcd-$1.yml" >>"$LAB/etcd-$1.log" 2>&1 </dev/null &
    echo $! >"$LAB/etcd-$1.pid" )
}
crash() { kill -9 "$(cat "$LAB/etcd-$1.pid")"; }
tls_curl() { curl -s -m 3 --cacert "$TLS/ca.crt" --cert "$TLS/$1.crt" --key "$TLS/$1.key" "${@:2}"; }
health() { tls_curl client -f "https://127.0.0.1:$(client_port "$1")/health" | grep -q true; }
# ctl USER arguments...; "-" is nobody. An etcdctl before 3.4 needs ETCDCTL_API=3.
ctl() {
  local user=$1; shift
  local as=; [ "$user" != - ] && as=--user=$user
  $ETCDCTL --endpoints="$EP" --cacert="$TLS/ca.crt" --cert="$TLS/client.crt" \
    --key="$TLS/client.key" --command-timeout=10s $as "$@"
}
denied() { # denied ERROR USER arguments...
  local error=$1; shift; ctl "$@" 2>&1 | grep -q "$error"
}
etcd_leader() {
  ctl root:rootpw endpoint status -w json 2>/dev/null | python3 -c 'import json,sys
for e in json.load(sys.stdin):
    s = e["Status"]
    if s["leader"] == s["header"]["member_id"]: print((int(e["Endpoint"].rsplit(":", 1)[1]) - '"$B"') // 10); break'
}
cleanup() {
  local n f
  for n in $NODES; do stop_pid "$LAB/patroni$n.pid"; done
  for n in $NODES; do
    f=$LAB/pg$n/postmaster.pid; [ -f "$f" ] && kill -INT "$(head -1 "$f")" 2>/dev/null
  done
  for n in $MEMBERS; do stop_pid "$LAB/etcd-$n.pid"; done
}
trap cleanup EXIT

# -- PostgreSQL nodes
patroni() { "$SHARED_LAB/ctl.sh" "$@"; }
is_leader() { [ "$(code "$1" /primary)" = 200 ]; }
is_replica() { [ "$(code "$1" /replica)" = 200 ]; }
no_leader() { local n; for n in $NODES; do is_leader "$n" && return 1; done; return 0; }
other() { local n; for n in $NODES; do [ "$n" != "$1" ] && echo "$n"; done; }
pg() { "$PG_BIN/psql" -h 127.0.0.1 -p $((PG_PORT0 + $1)) -U postgres -d postgres -Atc "$2"; }
timeline() { pg "$1" 'select timeline_id from pg_control_checkpoint()'; }
setting_is() { [ "$(pg "$1" 'show work_mem')" = "$2" ]; }
stays() { # stays SECONDS N: node N answers as leader in samples every 0.5 s
  local t=0 bad=0
  while [ $t -lt $(($1 * 2)) ]; do is_leader "$2" || bad=$((bad + 1)); sleep 0.5; t=$((t + 1)); done
  check "pg$2 was leader in all but $bad of $t samples" [ $bad = 0 ]
}
find_leader() { wait_for 90 "a leader exists" leader; L=$(leader); R=$(other "$L"); wait_for 90 "pg$R is a replica" is_replica "$R"; }

# Every half second through new connections: is the node still leader, does each member take a put?
watch_over() { # watch_over N FILE
  local i
  while [ -f "$LAB/watching" ]; do
    is_leader "$1" && echo "leader ok" || echo "leader lost $(date +%T)"
    for i in $MEMBERS; do
      tls_curl client -f "https://127.0.0.1:$(client_port "$i")/v3/kv/put" \
        -H "Authorization: $TOKEN" -d '{"key":"cm90YXRpb24=","value":"eA=="}' >/dev/null &&
        echo "put ok" || echo "put failed etcd-$i $(date +%T)"
    done
    sleep 0.5
  done >"$2"
}
serial_shown() { # serial_shown PORT: the certificate that a listener shows now
  openssl s_client -connect "127.0.0.1:$1" -cert "$TLS/client.crt" -key "$TLS/client.key" </dev/null 2>/dev/null |
    openssl x509 -noout -serial
}
shows_file() { # shows_file I: member I shows the certificate of its file, to clients and to peers
  local want port; want=$(openssl x509 -in "$TLS/etcd-$1.crt" -noout -serial)
  for port in $(client_port "$1") $(($(client_port "$1") + 1)); do [ "$(serial_shown "$port")" = "$want" ] || return 1; done
}
# Refused by the server: the client itself trusts whatever it is shown.
refused() { ! tls_curl "$1" -k -f "https://127.0.0.1:$(client_port "$2")/health"; }

rm -rf "$LAB"; mkdir -p "$TLS"; chown -R postgres:postgres "$LAB"; chmod 755 "$LAB"
authority ca-1; authority ca-2; trust ca-1
for name in etcd-0 etcd-1 etcd-2 client; do issue ca-1 "$name"; done

log "---- 1 three members; users as Pigsty makes them"
for i in $MEMBERS; do member "$i"; done
for i in $MEMBERS; do wait_for 60 "etcd-$i healthy" health "$i"; done
check "no certificate: refused" bash -c "! curl -sk -m 3 https://127.0.0.1:$(client_port 0)/health"
ctl - auth status 2>/dev/null | head -1
ctl - user add root --new-user-password=rootpw
ctl - auth enable
ctl root:rootpw role add lab
ctl root:rootpw role grant-permission lab --prefix=true readwrite /service/lab/
ctl root:rootpw user add lab --new-user-password=lab-password
ctl root:rootpw user grant-role lab lab
check "nobody may read" denied 'user name is empty' - get /service/lab/leader
check "lab may not read elsewhere" denied 'permission denied' lab:lab-password get /service/other
for n in $NODES; do patroni patroni-start "$n"; sleep 1; done
find_leader

log "---- 2 kill -9 the etcd leader"
E=$(etcd_leader); log "etcd leader is etcd-$E"; crash "$E"; stays $((TTL + LOOP_WAIT)) "$L"
member "$E"; wait_for 60 "etcd-$E back" health "$E"

log "---- 3 kill -9 an etcd follower"
E=$(etcd_leader); F=$(((E + 1) % 3)); crash $F; stays $((2 * LOOP_WAIT)) "$L"
member $F; wait_for 60 "etcd-$F back" health $F

log "---- 4 rolling restart (SIGTERM)"
for i in $MEMBERS; do
  stop_pid "$LAB/etcd-$i.pid"; sleep 1; member "$i"; wait_for 60 "etcd-$i back" health "$i"; sleep 2
done
stays $((2 * LOOP_WAIT)) "$L"

log "---- 5 certificates and authority exchanged, nothing is restarted"
STEP=$((LOOP_WAIT + 3))
OLD=$LAB/tls/old; cp "$TLS/client.crt" "$OLD.crt"; cp "$TLS/client.key" "$OLD.key"
LINE=$(timeline "$L"); PIDS=$(cat "$LAB"/etcd-?.pid | tr '\n' ' ')
TOKEN=$(tls_curl client "https://127.0.0.1:$(client_port 0)/v3/auth/authenticate" -d '{"name":"root","password":"rootpw"}' |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["token"])')
touch "$LAB/watching"; watch_over "$L" "$LAB/watch.txt" & WATCHER=$!
log "     certificates of the same authority"
for name in etcd-0 etcd-1 etcd-2 client; do issue ca-1 $name; done; sleep 1
for i in $MEMBERS; do check "etcd-$i shows its new certificate on both ports" shows_file "$i"; done
sleep $STEP
log "     both authorities trusted"; trust ca-1 ca-2; sleep $STEP
log "     certificates of the second authority, one after the other"
for name in etcd-0 etcd-1 etcd-2 client; do issue ca-2 $name; sleep 3; done
for i in $MEMBERS; do check "etcd-$i shows its new certificate on both ports" shows_file "$i"; done
sleep $STEP
log "     the first authority trusted no more"; trust ca-2; sleep 1
for i in $MEMBERS; do check "etcd-$i refuses the former client certificate" refused old "$i"; done
patroni ctl edit-config --force -q -s postgresql.parameters.work_mem=9MB >/dev/null
for n in $NODES; do wait_for 20 "pg$n learns of a changed setting" setting_is "$n" 9MB; done
stays $((TTL + LOOP_WAIT)) "$L"
rm "$LAB/watching"; wait $WATCHER
log "     $(sort "$LAB/watch.txt" | uniq -c | sort -rn | head -8 | sed 's/^ *//' | paste -sd ';' | sed 's/;/; /g')"
check "no sample without leader, no put failed" bash -c "! grep -vE ' ok$' '$LAB/watch.txt'"
check "the timeline is the same ($LINE)" [ "$(timeline "$L")" = "$LINE" ]
check "the members are the same processes" kill -0 $PIDS

log "---- 6 what starts now has only the second authority"
for i in $MEMBERS; do
  stop_pid "$LAB/etcd-$i.pid"; sleep 1; member "$i"; wait_for 60 "etcd-$i back" health "$i"; sleep 2
done
patroni patroni-stop "$R"; patroni patroni-start "$R"; wait_for 90 "pg$R is a replica" is_replica "$R"
stays $((2 * LOOP_WAIT)) "$L"
patroni ctl switchover $SCOPE --candidate "pg$R" --force >/dev/null
wait_for 30 "pg$R leads" is_leader "$R"; wait_for 90 "pg$L follows" is_replica "$L"

log "---- 7 quorum lost"
for i in 0 1; do crash $i; done; wait_for $((TTL + LOOP_WAIT + 30)) "no leader any more" no_leader
for i in 0 1; do member $i; done; find_leader
log "FAILED CHECKS: $FAILS"
exit "$FAILS"
