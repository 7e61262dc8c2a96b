// The command lines that etcdctl.test.ts runs against both servers, in order. A line changes both
// stores alike, so later lines may build on earlier ones. Lines marked with formats run once in
// each output format; the others only in the simple one.
export interface CtlLine {
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly formats?: readonly string[];
  /** The command goes on until it is interrupted, which is done when it has printed this. */
  readonly until?: RegExp;
  /** Only etcdctl of 3.7 knows it. */
  readonly since37?: boolean;
  /** The standard error is a running log of times and sizes. */
  readonly ignoreStderr?: boolean;
}

const ALL = ['simple', 'json', 'fields', 'table', 'protobuf'];
/** How the event that writes the value "end" ends in each format. */
const LAST_EVENT = {
  simple: /end\n$/,
  json: /ZW5k[^\n]*\n/,
  fields: /"end"\n"Lease" : 0\n/,
  protobuf: /end/,
};

export const SCRIPT: Readonly<Record<string, readonly CtlLine[]>> = {
  'puts, gets and deletes': [
    ...lines(['put a 1', 'put b 2', 'put b/1 x', 'put b/2 y', 'put b/3 x', 'put c --', 'put']),
    ...lines(['put d', 'put b/4 z --lease=7fff', 'put e "" --ignore-value']).map((line) => ({
      ...line,
      stdin: 'from stdin\n',
    })),
    ...inAll(['put a 2', 'put a 3 --prev-kv', 'put zz 1 --prev-kv', 'put', 'put x y z']),
    ...lines(['put a --ignore-value', 'put a 4 --ignore-lease', 'put nope --ignore-value']),
    ...lines(['put a --ignore-value 5', 'put "" x', 'put a 6 --lease=xyz', 'put a 6 --nope']),
    ...inAll(['get a', 'get b --prefix', 'get nope', 'get b --prefix --limit=2', 'get a zz']),
    ...inAll(['get b --prefix --keys-only', 'get b --prefix --count-only', 'get']),
    ...lines(['get b --from-key', 'get "" --prefix --keys-only', 'get "" --from-key --limit=3']),
    ...lines(['get b --prefix --order=DESCEND', 'get b --prefix --sort-by=MODIFY --order=DESCEND']),
    ...lines(['get b --prefix --sort-by=CREATE', 'get b --prefix --sort-by=KEY --order=ASCEND']),
    ...lines(['get b --prefix --sort-by=NOPE', 'get b --prefix --order=NOPE']),
    ...lines(['get a --rev=2', 'get a --rev=3', 'get a --rev=9999', 'get a --rev=-1']),
    ...lines([
      'get b --prefix --print-value-only',
      'get a --consistency=s',
      'get a --consistency=x',
    ]),
    ...lines(['get a --hex', 'get b --prefix --from-key', 'get a --hex -w json', 'get a -w nope']),
    ...lines(['get --nope', 'get a --command-timeout=5s', 'get b --prefix --count-only -w fields']),
    ...since37([
      'get b --prefix --stream',
      'get b --prefix --stream --limit=2',
      'get b --prefix --stream -w json',
      'get b --prefix --min-mod-rev=5',
      'get b --prefix --max-mod-rev=5',
      'get b --prefix --min-create-rev=5 --max-create-rev=9',
      'get b --prefix --min-create-rev=9 --max-create-rev=5',
      'get b --prefix --min-mod-rev=6 -w json',
    ]),
    ...inAll(['del b/1', 'del b/2 --prev-kv', 'del nope', 'del b/3 b/9 --range', 'del']),
    ...lines(['del b --prefix', 'del zz --from-key', 'del zzz --from-key --prev-kv']),
    ...inAll(['compaction 3', 'compaction 9999']),
    ...lines([
      'compaction 5 --physical',
      'compaction 5',
      'compaction x',
      'compaction',
      'get a --rev=2',
    ]),
    ...lines(['nosuchcommand', 'version']),
    {
      args: words('put a b --endpoints=127.0.0.1:1 --dial-timeout=200ms --command-timeout=1s'),
      ignoreStderr: true,
    },
  ],

  transactions: [
    txn('', 'put t1 a\n\n', ''),
    txn('value("t1") = "a"\n', 'put t1 b\nget t1\n', 'get nope\n', ALL),
    txn('mod("t1") > "0"\n', 'get t1\ndel t1\nput t2 "two words"\n', 'put t3 c\n', ALL),
    txn('create("t1") = "0"\nversion("t2") != "0"\n', 'get t --prefix\n', '', ALL),
    txn('ver("t2") < "1"\n', 'put t4 x\n', 'put t5 y\nget t5\n', ALL),
    txn('c("t2") > "1"\nm("t2") > "1"\n', 'del t --prefix --prev-kv\n', '', ALL),
    txn('lease("t2") = "0"\n', 'put t6 1\nput t6 2\n', ''),
    txn('val("t2") = "x"\n', 'put t6 1\n', 'put t7 1 --prev-kv\n'),
    txn('lease("t2") > "0"\n', 'put t6 1\n', 'get t7 --rev=99999\n'),
    txn('nope("t2") = "0"\n', '', ''),
    txn('value("t2")\n', '', ''),
    txn('', 'nope x\n', ''),
    txn('', 'put "" x\n', ''),
  ],

  leases: [
    ...inAll(['lease grant 5000', 'lease grant 1', 'lease grant 9000000001', 'lease grant']),
    ...lines(['lease grant x', 'lease grant 0', 'lease grant -- -5']),
    ...lines(['put l1 x --lease=1a2b', 'put l2 x', 'get l1 -w json', 'get l1 -w fields']),
    ...inAll(['lease timetolive 1a2b', 'lease timetolive 1a2b --keys', 'lease timetolive 99']),
    ...inAll(['lease keep-alive 1a2b --once', 'lease keep-alive 99 --once', 'lease timetolive']),
    ...lines(['lease keep-alive xyz', 'lease timetolive xyz', 'lease keep-alive 99', 'lease']),
    { args: ['lease', 'keep-alive', '1a2b'], until: /keepalived.*\n/ },
    ...inAll(['lease revoke 1a2b', 'lease revoke 1a2b', 'lease revoke']),
    ...lines(['get l --prefix', 'lease revoke xyz']),
  ],

  watches: [
    ...lines(['put w/a 1', 'put w/b 2', 'del w/a', 'put w/a "with space"', 'put w/z end']),
    ...Object.entries(LAST_EVENT).flatMap(([format, marker]) => [
      watching(`watch w/ --prefix --rev=6 -w ${format}`, marker),
      watching(`watch w/ --prefix --rev=6 --prev-kv -w ${format}`, marker),
      watching(`watch w/z --rev=6 -w ${format}`, marker),
      watching(`watch w/a w/zz --rev=6 -w ${format}`, marker),
    ]),
    watching('watch w/ --prefix --rev=6 --hex', /\\x65\\x6e\\x64\n/),
    watching(
      'watch w/z --rev=6 -- sh -c "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY ran"',
      / ran\n/,
    ),
    { ...watching('watch -i'), stdin: 'watch w/ --prefix --rev=6\n' },
    { ...watching('watch -i'), stdin: 'watch nope\nwatch w/z --rev=6 --prev-kv\n' },
    ...lines(['compaction 6', 'watch w/ --prefix --rev=2', 'watch', 'watch w/b w/a --rev=2']),
  ],

  'cluster and maintenance': [
    ...inAll(['member list', 'endpoint health', 'endpoint status', 'endpoint hashkv']),
    ...inAll([
      'endpoint health --cluster',
      'endpoint status --cluster',
      'endpoint hashkv --cluster',
    ]),
    ...inAll(['alarm list', 'alarm disarm', 'defrag', 'defrag --cluster']),
    ...lines(['endpoint hashkv --rev=3', 'endpoint hashkv --rev=99999', 'member list --hex']),
    ...lines(['member list --hex -w json', 'member list --hex -w fields', 'endpoint']),
    ...inAll(['member remove 123', 'member update 123 --peer-urls=http://127.0.0.1:1']),
    ...lines(['member promote 123', 'member remove xyz', 'member add', 'member add x']),
    ...lines(['member add x --peer-urls=ftp://a:1', 'move-leader 123', 'move-leader xyz']),
    ...since37(['member list --consistency=s', 'downgrade cancel', 'downgrade validate 3.1']),
    ...since37([
      'downgrade validate x',
      'downgrade enable 3.9',
      'auth status',
      'auth status -w json',
    ]),
    { args: ['snapshot', 'save', 'SNAPSHOT'], ignoreStderr: true },
  ],

  // Keys with lease ids of the server's choice: hashes differ from here on.
  'locks and elections': [
    ...lines(['lock mine echo held', 'lock mine --ttl=30 -- sh -c "exit 7"', 'lock']),
    { args: ['lock', 'mine'], until: /mine\// },
    ...lines(['lock mine sh -- -c "echo $ETCD_LOCK_KEY"', 'elect', 'elect -l', 'elect a b c']),
    { args: ['elect', 'office', 'anna'], until: /anna\n/ },
    { args: ['elect', 'office', 'anna', '-w', 'json'], until: /YW5uYQ==[^\n]*\n/ },
    ...lines(['put office/1 berta']),
    { args: ['elect', '-l', 'office'], until: /berta\n/ },
    ...lines(['get mine --prefix', 'get office --prefix']),
  ],

  'users and roles': [
    ...inAll(['role add r1', 'role list', 'role get r1', 'role get nope', 'user list']),
    ...lines([
      'role add r2',
      'role grant-permission r1 read a',
      'role grant-permission r1 write b c',
    ]),
    ...lines(['role grant-permission r1 readwrite d --prefix', 'role grant-permission r1 x a']),
    ...lines([
      'role grant-permission r2 readwrite "" --from-key',
      'role grant-permission r2 read z a',
    ]),
    ...inAll(['role get r1', 'role get r2']),
    ...inAll(['role revoke-permission r1 a', 'role revoke-permission r1 b c']),
    ...lines(['role revoke-permission r1 d --prefix', 'role revoke-permission r1 nope']),
    ...lines(['user add u1 --no-password', 'user add u1 --no-password', 'user add :x']),
    ...inAll(['user grant-role u1 r1', 'user grant-role u1 nope', 'user get u1', 'user get nope']),
    ...lines(['user get u1 --detail', 'user revoke-role u1 r1', 'user revoke-role u1 r1']),
    ...lines(['user add u2 --interactive=false', 'user passwd u2 --interactive=false']).map(
      (line) => ({
        ...line,
        stdin: 'secret\n',
      }),
    ),
    ...inAll(['user delete u1', 'role delete r1', 'role delete nope', 'user delete u2']),
    ...lines(['role delete r2', 'auth disable', 'auth enable', 'role list', 'user list']),
  ],

  // Ends with authentication off, since what follows may be anything.
  authentication: [
    ...lines(['user add root:secret', 'user add u:pass', 'user add cn --no-password']),
    ...lines(['role add keys', 'role grant-permission keys read k --prefix']),
    ...lines(['role grant-permission keys write k', 'role grant-permission keys readwrite k1 k3']),
    ...lines(['user grant-role u keys', 'user grant-role cn keys', 'put other x', 'put k2 x']),
    ...lines(['auth enable', 'user list', 'get k', 'put k 1', 'member list', 'lease grant 100']),
    ...inAll(['user list', 'role get keys', 'user get u', 'role list']).map(by('root:secret')),
    ...inAll([
      'user get u',
      'role get keys',
      'get k --prefix',
      'put k1 v',
      'put k2 v --prev-kv',
    ]).map(by('u:pass')),
    ...lines(['user get root', 'role get root', 'user list', 'role list', 'auth disable']).map(
      by('u:pass'),
    ),
    ...lines(['get other', 'get k other', 'get "" --prefix', 'put k v --prev-kv', 'put k3 v']).map(
      by('u:pass'),
    ),
    ...lines(['del k --prefix', 'del k1 k3 --prev-kv', 'compaction 3', 'alarm list', 'defrag']).map(
      by('u:pass'),
    ),
    ...lines(['endpoint hashkv', 'alarm disarm', 'member remove 123', 'move-leader 123']).map(
      by('u:pass'),
    ),
    ...lines(['get k', 'user list']).map(by('u:wrong')),
    ...lines(['get k', 'user list']).map(by('nobody:pass')),
    ...lines(['get k']).map(by('cn:pass')),
    ...lines(['user delete root', 'user revoke-role root root', 'role delete root']).map(
      by('root:secret'),
    ),
    ...lines(['user passwd u --interactive=false']).map((line) => ({
      ...by('root:secret')(line),
      stdin: 'new\n',
    })),
    ...lines(['get k']).map(by('u:pass')),
    ...lines(['get k']).map(by('u:new')),
    ...lines(['watch other']).map(by('u:new')),
    ...lines(['role revoke-permission keys k --prefix', 'get k2']).map(by('root:secret')),
    ...lines(['get k', 'get k2']).map(by('u:new')),
    ...lines(['user delete u', 'role delete keys', 'user delete cn', 'auth disable']).map(
      by('root:secret'),
    ),
    ...lines(['get k --user=root:secret', 'user delete root', 'role delete root', 'user list']),
  ],
};

/** The same line as a user with a password. */
function by(user: string): (line: CtlLine) => CtlLine {
  return (line) => ({ ...line, args: [...line.args, `--user=${user}`] });
}

function lines(commands: readonly string[]): CtlLine[] {
  return commands.map((command) => ({ args: words(command) }));
}

function inAll(commands: readonly string[]): CtlLine[] {
  return commands.map((command) => ({ args: words(command), formats: ALL }));
}

function since37(commands: readonly string[]): CtlLine[] {
  return commands.map((command) => ({ args: words(command), since37: true }));
}

function txn(
  compares: string,
  success: string,
  failure: string,
  formats: readonly string[] = ['simple'],
): CtlLine {
  return { args: ['txn'], stdin: `${compares}\n${success}\n${failure}\n`, formats };
}

function watching(command: string, marker = LAST_EVENT.simple): CtlLine {
  return { args: words(command), until: marker };
}

/** Splits at blanks; double quotes keep words together. */
function words(command: string): string[] {
  const parts = command.match(/"[^"]*"|[^ ]+/g) ?? [];
  return parts.map((part) => part.replace(/^"(.*)"$/, '$1'));
}
