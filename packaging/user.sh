# Part of the scripts of both packages: the account that the unit names.
getent group etcd >/dev/null || groupadd --system etcd
getent passwd etcd >/dev/null ||
  useradd --system --gid etcd --home-dir /var/lib/etcd --no-create-home \
    --shell /usr/sbin/nologin --comment 'etcd' etcd
