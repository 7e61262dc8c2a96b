#!/bin/bash
# vip-manager (2 or later, which speaks gRPC) moving an address, over mutual TLS and as a user who may
# read one cluster's keys. Exit status = failed checks. Needs root, for a network namespace.
#   VIPM=vip-manager ETCD_CMD="node dist/etcd.js" ETCDCTL=etcdctl test/lab/vip-manager.sh
if [ "${LAB_NS:-}" = "" ]; then
  export LAB_NS=1
  exec unshare -n bash -c 'ip link set lo up; exec bash "$0" "$@"' "$0" "$@"
fi
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etcd-vip.XXXXXX")
E=https://127.0.0.1:2379
FAILS=0
ip link add vth0 type veth peer name vth1
ip addr add 10.9.9.1/24 dev vth0; ip link set vth0 up; ip link set vth1 up
cd "$WORK" || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab-ca -keyout ca.key -out ca.crt 2>/dev/null
echo 'subjectAltName=IP:127.0.0.1,DNS:localhost' >names
for name in server client; do
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr 2>/dev/null
  openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names \
    -out $name.crt 2>/dev/null
done
start() {
  ${ETCD_CMD:-etcd} --data-dir "$WORK/data" --listen-client-urls $E --advertise-client-urls $E \
    --cert-file server.crt --key-file server.key --trusted-ca-file ca.crt >>"$WORK/etcd.log" 2>&1 &
  SERVER=$!
  for _ in $(seq 100); do
    curl -sf -m 2 --cacert ca.crt --cert client.crt --key client.key $E/health >/dev/null && break
    sleep 0.2
  done
}
ctl() {
  ${ETCDCTL:-etcdctl} --endpoints=$E --cacert=ca.crt --cert=client.crt --key=client.key "$@" >/dev/null 2>&1
}
root() { ctl --user=root:rootpw "$@"; }
LEADER=/service/lab/leader
expect() { # expect yes|no DESCRIPTION: the address is there, or not, within twelve seconds
  local have t0; t0=$(date +%s%N)
  for _ in $(seq 120); do
    have=no; ip -o addr show dev vth0 | grep -q 10.9.9.99 && have=yes
    [ $have = "$1" ] && break
    sleep 0.1
  done
  if [ $have = "$1" ]; then echo "ok   $2 (address: $have after $((($(date +%s%N) - t0) / 1000000)) ms)"
  else echo "FAIL $2 (address: $have)"; FAILS=$((FAILS + 1)); fi
}
start
ctl user add root --new-user-password=rootpw; ctl role add root; ctl user grant-role root root
ctl role add lab; ctl role grant-permission lab --prefix=true readwrite /service/lab/
ctl user add lab --new-user-password=lab-password; ctl user grant-role lab lab
ctl auth enable
${VIPM:-vip-manager} --interface vth0 --ip 10.9.9.99 --netmask 24 --trigger-key $LEADER --trigger-value me \
  --dcs-type etcd --dcs-endpoints $E --interval 1000 --etcd-user lab --etcd-password lab-password \
  --etcd-ca-file ca.crt --etcd-cert-file client.crt --etcd-key-file client.key >"$WORK/vip.log" 2>&1 &
VIP=$!
trap 'kill $VIP $SERVER 2>/dev/null; wait 2>/dev/null' EXIT
sleep 2; expect no 'no key'
root put $LEADER me; expect yes 'the key names this node'
root put $LEADER other; expect no 'the key names another'
root put $LEADER me; expect yes 'this node again'
root del $LEADER; expect no 'key deleted'
root put $LEADER me; expect yes 'back'
# While etcd is down vip-manager leaves things as they are. Its token dies with the server.
kill $SERVER; wait $SERVER 2>/dev/null; start
root put $LEADER other; expect no 'etcd was restarted, the key names another'
root put $LEADER me; expect yes 'this node again'
echo "FAILED CHECKS: $FAILS"
exit $FAILS
