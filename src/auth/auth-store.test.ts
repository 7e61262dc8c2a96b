import { describe, expect, it } from 'vitest';
import { authOptions } from '../../test/support/auth.ts';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { bucketRange, buckets } from '../buckets.ts';
import { Type } from '../codec/gen/authpb.ts';
import { EtcdError, errors } from '../errors.ts';
import { EMPTY_KEY, type Key, keyFromText } from '../types.ts';
import { AuthStore } from './auth-store.ts';
import { NOBODY } from './identity.ts';

const k = keyFromText;
const OPEN = '\x00' as Key;
/** "secret", as a proposer sends a hash. */
const HASHED = Buffer.from('secret').toString('base64');

class Store {
  readonly rows = new MemoryRows();
  readonly auth = new AuthStore({ ...authOptions(), rows: this.rows });

  addUser(name: string, more: { options?: { noPassword: boolean }; hashed?: string } = {}) {
    const { options = null, hashed = HASHED } = more;
    return this.auth.addUser({ name, password: '', options, hashedPassword: hashed });
  }

  grant(role: string, permType: number, key: string, rangeEnd: string = EMPTY_KEY) {
    const perm = { permType, key: k(key), rangeEnd: k(rangeEnd) };
    return this.auth.grantPermission({ name: role, perm });
  }

  permissions(role: string): string[] {
    const found = this.auth.role(role)?.keyPermission ?? [];
    return found.map(({ permType, key, rangeEnd }) => `${key}-${rangeEnd}:${permType}`);
  }

  as(user: string, revision = this.auth.revision) {
    return { user, revision };
  }

  /** With authentication on: root, and `users` with the role r. */
  withUsers(...users: string[]): this {
    this.addUser('root');
    this.auth.grantRole('root', 'root');
    this.auth.addRole('r');
    for (const user of users) {
      this.addUser(user);
      this.auth.grantRole(user, 'r');
    }
    expect(this.auth.enable()).toBeNull();
    return this;
  }

  async hexRows(bucket: (typeof buckets)[keyof typeof buckets]): Promise<string[]> {
    const rows = await this.rows.scan({ ...bucketRange(bucket), limit: 100 });
    return rows.map(({ key, value }) => `${key.slice(1)} ${Buffer.from(value).toString('hex')}`);
  }
}

describe('rows', () => {
  it('are those of etcd, with the first revision in a new database', async () => {
    const store = new Store();
    expect(await store.hexRows(buckets.auth)).toEqual(['authRevision 0000000000000001']);
    store.addUser('root');
    store.auth.grantRole('root', 'root');
    store.auth.addRole('r1');
    store.grant('r1', Type.READWRITE, 'a', 'z');
    store.auth.enable();
    // As read from a database of etcd 3.7.1, with a shorter password.
    expect(await store.hexRows(buckets.auth)).toEqual([
      'authEnabled 01',
      'authRevision 0000000000000005',
    ]);
    expect(await store.hexRows(buckets.authUsers)).toEqual([
      'root 0a04726f6f741206' + '736563726574' + '1a04726f6f742200',
    ]);
    expect(await store.hexRows(buckets.authRoles)).toEqual([
      'r1 0a02723112080802120161' + '1a017a',
    ]);
    store.auth.disable();
    expect(await store.hexRows(buckets.auth)).toEqual([
      'authEnabled 00',
      'authRevision 0000000000000006',
    ]);
  });

  it('are all that another life needs', async () => {
    const { rows, auth } = new Store().withUsers('ä', 'b');
    const next = new AuthStore({ ...authOptions(), rows });
    for (const table of next.tables) {
      table.load(await rows.scan({ ...bucketRange(table.bucket), limit: 100 }));
    }
    expect([next.enabled, next.revision]).toEqual([true, auth.revision]);
    expect(next.userNames()).toEqual(['b', 'root', 'ä']);
    expect(next.user('ä')).toEqual(auth.user('ä'));
    expect(next.roleNames()).toEqual(['r']);
  });
});

describe('users', () => {
  it('need a name that is new and that a database of etcd can hold', () => {
    const store = new Store();
    expect(store.addUser('')).toBe(errors.userEmpty);
    expect(store.addUser('u')).toBeNull();
    expect(store.addUser('u')).toBe(errors.userAlreadyExist);
    expect(store.addUser('x'.repeat(32_768))).toBeNull();
    const { revision } = store.auth;
    expect(store.addUser('x'.repeat(32_769))).toBe(errors.requestTooLarge);
    expect(store.addUser('ä'.repeat(16_385))).toBe(errors.requestTooLarge);
    expect(store.auth.addRole('x'.repeat(32_769))).toBe(errors.requestTooLarge);
    expect(store.auth.revision).toBe(revision);
  });

  it('keep their password in the form in which the proposer hashed it', () => {
    const store = new Store();
    expect(store.addUser('u', { hashed: 'no base64' })).toBe(errors.noPasswordUser);
    expect(store.addUser('u', { hashed: 'YQ' })).toBe(errors.noPasswordUser);
    expect(store.addUser('u')).toBeNull();
    const password = () => Buffer.from(store.auth.user('u')?.password ?? []).toString();
    expect(password()).toBe('secret');
    const change = (hashedPassword: string, given = '') =>
      store.auth.changePassword({ name: 'u', password: given, hashedPassword });
    expect(change('%%')).toBe(errors.noPasswordUser);
    expect(change(Buffer.from('other').toString('base64'))).toBeNull();
    expect(password()).toBe('other');
    // What a member before 3.5 has proposed.
    expect(change('', 'plain')).toBeNull();
    expect(password()).toBe('hash of plain');
    expect(change('', 'x'.repeat(73))).toBe(errors.noPasswordUser);
    expect(change('')).toBeNull();
    expect(password()).toBe('');
    expect(store.auth.changePassword({ name: 'v', password: '', hashedPassword: '' })).toBe(
      errors.userNotFound,
    );
  });

  it('may have no password for good', () => {
    const store = new Store().withUsers();
    expect(store.addUser('cn', { options: { noPassword: true } })).toBeNull();
    expect(store.auth.user('cn')?.password).toHaveLength(0);
    const { revision } = store.auth;
    expect(
      store.auth.changePassword({ name: 'cn', password: '', hashedPassword: HASHED }),
    ).toBeNull();
    expect(store.auth.user('cn')?.password).toHaveLength(0);
    expect(store.auth.revision).toBe(revision + 1);
    expect(store.auth.authenticate({ name: 'cn', password: '', simpleToken: 'p' }, 3)).toBe(
      errors.authFailed,
    );
  });

  it('get roles in the order of their bytes, each once', () => {
    const { auth, ...store } = new Store();
    expect(auth.grantRole('u', 'r')).toBe(errors.userNotFound);
    auth.addUser({ name: 'u', password: '', options: null, hashedPassword: HASHED });
    expect(auth.grantRole('u', 'r')).toBe(errors.roleNotFound);
    // As UTF-16 the first of these would come last.
    for (const role of ['\uffee', '😀', 'a']) auth.addRole(role);
    for (const role of ['😀', '\uffee', 'a', 'root']) expect(auth.grantRole('u', role)).toBeNull();
    expect(auth.user('u')?.roles).toEqual(['a', 'root', '\uffee', '😀']);
    const { revision } = auth;
    expect(auth.grantRole('u', 'a')).toBeNull();
    expect(auth.revision).toBe(revision);
    expect(auth.deleteRole('a')).toBeNull();
    expect(auth.user('u')?.roles).toEqual(['root', '\uffee', '😀']);
    expect(auth.revokeRole('u', 'a')).toBe(errors.roleNotGranted);
    expect(auth.revokeRole('u', 'root')).toBeNull();
    expect(auth.revokeRole('v', 'root')).toBe(errors.userNotFound);
    expect(store.rows.size).toBeGreaterThan(0);
  });
});

describe('permissions of a role', () => {
  it('need a range that contains something', () => {
    const store = new Store();
    expect(store.auth.grantPermission({ name: 'r', perm: null })).toBe(errors.permissionNotGiven);
    expect(store.grant('r', Type.READ, '')).toBe(errors.invalidAuthMgmt);
    expect(store.grant('r', Type.READ, 'b', 'a')).toBe(errors.invalidAuthMgmt);
    expect(store.grant('r', Type.READ, 'b', 'b')).toBe(errors.invalidAuthMgmt);
    expect(store.grant('r', Type.READ, 'b')).toBe(errors.roleNotFound);
    store.auth.addRole('r');
    for (const end of ['', '\x00', 'c']) expect(store.grant('r', Type.READ, 'b', end)).toBeNull();
  });

  it('are found again by key and end, but only the first with the key is changed', () => {
    const store = new Store();
    store.auth.addRole('r');
    store.grant('r', Type.READ, 'b');
    store.grant('r', Type.WRITE, 'a', 'c');
    store.grant('r', Type.READWRITE, 'b');
    expect(store.permissions('r')).toEqual(['a-c:1', 'b-:2']);
    store.grant('r', Type.READ, 'b', 'c');
    store.grant('r', Type.WRITE, 'b', 'c');
    expect(store.permissions('r')).toEqual(['a-c:1', 'b-:2', 'b-c:0', 'b-c:1']);
    const revoke = (key: string, end: string) =>
      store.auth.revokePermission({ role: 'r', key: k(key), rangeEnd: k(end) });
    expect(revoke('b', 'c')).toBeNull();
    expect(store.permissions('r')).toEqual(['a-c:1', 'b-:2']);
    expect(revoke('b', 'c')).toBe(errors.permissionNotGranted);
    expect(store.auth.revokePermission({ role: 'x', key: k('b'), rangeEnd: EMPTY_KEY })).toBe(
      errors.roleNotFound,
    );
  });
});

describe('switching on and off', () => {
  it('needs root with the role root', () => {
    const { auth } = new Store();
    expect(auth.enable()).toBe(errors.rootUserNotExist);
    auth.addUser({ name: 'root', password: '', options: null, hashedPassword: HASHED });
    expect(auth.enable()).toBe(errors.rootRoleNotExist);
    auth.grantRole('root', 'root');
    const { revision } = auth;
    expect([auth.enable(), auth.enable(), auth.revision]).toEqual([null, null, revision]);
    expect([auth.disable(), auth.disable(), auth.revision]).toEqual([null, null, revision + 1]);
  });

  it('protects root while it is on', () => {
    const { auth } = new Store().withUsers();
    auth.addRole('root');
    expect(auth.deleteUser('root')).toBe(errors.invalidAuthMgmt);
    expect(auth.revokeRole('root', 'root')).toBe(errors.invalidAuthMgmt);
    expect(auth.deleteRole('root')).toBe(errors.invalidAuthMgmt);
    auth.disable();
    expect(auth.deleteRole('root')).toBeNull();
    expect(auth.deleteUser('root')).toBeNull();
    expect(auth.deleteUser('root')).toBe(errors.userNotFound);
  });

  it('ends every token', () => {
    const options = authOptions();
    const auth = new AuthStore({ ...options, rows: new MemoryRows() });
    auth.addUser({ name: 'root', password: '', options: null, hashedPassword: HASHED });
    auth.grantRole('root', 'root');
    const login = () => auth.authenticate({ name: 'root', password: '', simpleToken: 'p' }, 8);
    expect(login()).toBe(errors.authNotEnabled);
    auth.enable();
    expect(login()).toEqual({ token: 'p.8' });
    auth.disable();
    auth.enable();
    // Had it been kept, making it again would be a bug.
    expect(login()).toEqual({ token: 'p.8' });
    expect(auth.authenticate({ name: 'x', password: '', simpleToken: 'q' }, 9)).toBe(
      errors.authFailed,
    );
  });
});

describe('checks', () => {
  it('let everybody do everything while they are off', () => {
    const { auth } = new Store();
    expect(auth.check(NOBODY, 'write', k('a'))).toBeNull();
    expect(auth.checkAdmin(NOBODY)).toBeNull();
    expect(auth.root).toBe(NOBODY);
  });

  it('look at who asks, then at the revision, then at permissions', () => {
    const store = new Store().withUsers('u');
    const { auth } = store;
    store.grant('r', Type.READ, 'a');
    const read = (who: { user: string; revision: number }) => auth.check(who, 'read', k('a'));
    expect(read(NOBODY)).toBe(errors.userEmpty);
    expect(read(store.as('u', auth.revision - 1))).toBe(errors.authOldRevision);
    expect(read(store.as('root', auth.revision - 1))).toBe(errors.authOldRevision);
    expect(read(store.as('gone'))).toBe(errors.permissionDenied);
    expect(read(store.as(''))).toBe(errors.permissionDenied);
    expect(read(store.as('u'))).toBeNull();
    expect(auth.check(store.as('u'), 'write', k('a'))).toBe(errors.permissionDenied);
    expect(read(store.as('root'))).toBeNull();
  });

  it('take administrators by their role, whatever the revision', () => {
    const store = new Store().withUsers('u');
    expect(store.auth.checkAdmin(NOBODY)).toBe(errors.userEmpty);
    expect(store.auth.checkAdmin(store.as(''))).toBe(errors.userEmpty);
    expect(store.auth.checkAdmin(store.as('gone'))).toBe(errors.userNotFound);
    expect(store.auth.checkAdmin(store.as('u'))).toBe(errors.permissionDenied);
    expect(store.auth.checkAdmin(store.as('root', 1))).toBeNull();
    expect(store.auth.checkAdmin(store.auth.root)).toBeNull();
  });

  it('know the edges of ranges', () => {
    const store = new Store().withUsers('u');
    const may = (key: string, end: string) =>
      store.auth.check(store.as('u'), 'read', k(key), end as Key) === null;
    store.grant('r', Type.READ, 'b', 'd');
    expect([may('b', ''), may('c\xff', ''), may('d', ''), may('a', '')]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([may('b', 'd'), may('b', 'd\x00'), may('b', OPEN)]).toEqual([true, false, false]);
    store.grant('r', Type.READ, 'd', '\x00');
    expect([may('b', OPEN), may('b', '\xff'), may('a', OPEN)]).toEqual([true, true, false]);
    store.grant('r', Type.READ, '\x00', '\x00');
    expect([may('\x00', OPEN), may('a', 'b')]).toEqual([true, true]);
  });

  it('forget what a role that was taken away had allowed', () => {
    const store = new Store().withUsers('u');
    store.grant('r', Type.READWRITE, 'a');
    const write = () => store.auth.check(store.as('u'), 'write', k('a'));
    expect(write()).toBeNull();
    store.auth.revokeRole('u', 'r');
    expect(write()).toBe(errors.permissionDenied);
    expect(write()).toBeInstanceOf(EtcdError);
  });
});

describe('a state that was received', () => {
  it('replaces users, roles and the switch', () => {
    const here = new Store().withUsers('old');
    const there = new Store().withUsers('new');
    there.auth.disable();
    here.auth.adopt(there.auth);
    expect(here.auth.userNames()).toEqual(['new', 'root']);
    expect([here.auth.enabled, here.auth.revision]).toEqual([false, there.auth.revision]);
  });
});
