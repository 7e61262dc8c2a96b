/**
 * Users, roles and whether they count: etcd's auth store. Changes come from applied entries and are
 * the same on every member; each is an outcome, `null` or an error from the catalogue, and an error
 * has changed nothing.
 *
 * Invariant: the auth revision grows by one with every change of users, roles and permissions and
 * with switching authentication off, so that who was known before has to say again who it is.
 *
 * It knows no requests of the key-value store and no callers, and hashes no passwords but those of
 * entries that members before 3.5 have made.
 */

import { buckets, rowKey } from '../buckets.ts';
import { type Permission, type Role, Type, type User } from '../codec/gen/authpb.ts';
import type {
  AuthRoleGrantPermissionRequest,
  AuthRoleRevokePermissionRequest,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  InternalAuthenticateRequest,
} from '../codec/gen/etcdserverpb.ts';
import { EtcdError, errors } from '../errors.ts';
import { goSort } from '../go-sort.ts';
import { limits } from '../limits.ts';
import type { Rows } from '../ports.ts';
import { EMPTY_BYTES, EMPTY_KEY, type Index, type Key, keyFromBytes } from '../types.ts';
import { bytesFromU64, readU64BE } from '../u64.ts';
import { AuthTable, byBytes, newUser } from './auth-tables.ts';
import { type Identity, NOBODY } from './identity.ts';
import { type Access, isPermissionRange, UserPermissions } from './permissions.ts';
import type { Passwords, TokenProvider } from './token-provider.ts';

/** The user and the role that may do everything. */
export const ROOT = 'root';

const enabledRow = rowKey(buckets.auth, 'authEnabled');
const revisionRow = rowKey(buckets.auth, 'authRevision');
const ENABLED = Uint8Array.of(1);
const DISABLED = Uint8Array.of(0);
const FIRST_REVISION = 1;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export interface AuthStoreOptions {
  readonly rows: Rows;
  readonly tokens: Pick<TokenProvider, 'assign' | 'invalidateUser' | 'enable' | 'disable'>;
  /**
   * Entries of members before 3.5 carry the password itself, and every member hashes it when it
   * applies them.
   */
  readonly passwords: Pick<Passwords, 'hashNow'>;
}

/** What happened, in etcd's words, for whoever writes a log. */
export interface AuthNote {
  readonly level: 'info' | 'warn' | 'error';
  readonly msg: string;
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

const NO_NOTES: readonly AuthNote[] = [];

export class AuthStore {
  readonly #options: AuthStoreOptions;
  readonly #rows: Rows;
  readonly #users: AuthTable<User>;
  readonly #roles: AuthTable<Role>;
  /** By user; forgotten with every change. */
  readonly #permissions = new Map<string, UserPermissions>();
  #notes: readonly AuthNote[] = NO_NOTES;
  #enabled: boolean;
  #revision: number;

  /** Users and roles are loaded next. A database without auth revision gets the first one. */
  constructor(options: AuthStoreOptions) {
    const { rows } = options;
    this.#options = options;
    this.#rows = rows;
    this.#users = AuthTable.users(rows);
    this.#roles = AuthTable.roles(rows);
    const stored = rows.get(revisionRow);
    this.#enabled = rows.get(enabledRow)?.[0] === 1;
    this.#revision = stored === null ? 0 : readU64BE(keyFromBytes(stored), 0);
    if (this.#revision < FIRST_REVISION) this.#saveRevision(FIRST_REVISION);
    if (this.#enabled) options.tokens.enable();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  get revision(): number {
    return this.#revision;
  }

  get tables(): readonly Pick<AuthTable<User | Role>, 'bucket' | 'load'>[] {
    return [this.#users, this.#roles];
  }

  /** Takes over what another store says; tokens that were handed out stay valid, as in etcd. */
  adopt(other: AuthStore): void {
    this.#users.adopt(other.#users);
    this.#roles.adopt(other.#roles);
    this.#permissions.clear();
    this.#enabled = other.#enabled;
    this.#revision = other.#revision;
    if (this.#enabled) this.#options.tokens.enable();
  }

  /** As whom the member itself proposes. */
  get root(): Identity {
    return this.#enabled ? { user: ROOT, revision: this.#revision } : NOBODY;
  }

  user(name: string): User | null {
    return this.#users.get(name);
  }

  userNames(): readonly string[] {
    return this.#users.names();
  }

  role(name: string): Role | null {
    return this.#roles.get(name);
  }

  roleNames(): readonly string[] {
    return this.#roles.names();
  }

  hasRole(user: string, role: string): boolean {
    return this.#users.get(user)?.roles.includes(role) === true;
  }

  /** `null`, or why not. */
  check(who: Identity, access: Access, key: Key, rangeEnd: Key = EMPTY_KEY): EtcdError | null {
    if (!this.#enabled) return null;
    if (who.revision === 0) return errors.userEmpty;
    if (who.revision < this.#revision) return errors.authOldRevision;
    const user = this.#users.get(who.user);
    if (user === null) return errors.permissionDenied;
    if (user.roles.includes(ROOT)) return null;
    const allowed = this.#permissionsOf(who.user, user).allows(access, key, rangeEnd);
    return allowed ? null : errors.permissionDenied;
  }

  /** etcd: administrators may go on with an old revision. */
  checkAdmin({ user: name }: Identity): EtcdError | null {
    if (!this.#enabled) return null;
    if (name === '') return errors.userEmpty;
    const user = this.#users.get(name);
    if (user === null) return errors.userNotFound;
    return user.roles.includes(ROOT) ? null : errors.permissionDenied;
  }

  /** Those since the last call; a change makes one or none. */
  takeNotes(): readonly AuthNote[] {
    const notes = this.#notes;
    this.#notes = NO_NOTES;
    return notes;
  }

  enable(): EtcdError | null {
    if (this.#enabled) {
      this.#note('info', 'authentication is already enabled; ignored auth enable request');
      return null;
    }
    const root = this.#users.get(ROOT);
    if (root === null) return errors.rootUserNotExist;
    if (!root.roles.includes(ROOT)) return errors.rootRoleNotExist;
    this.#enabled = true;
    this.#rows.put(enabledRow, ENABLED);
    this.#options.tokens.enable();
    this.#note('info', 'enabled authentication');
    return null;
  }

  disable(): null {
    if (!this.#enabled) return null;
    this.#enabled = false;
    this.#rows.put(enabledRow, DISABLED);
    this.#options.tokens.disable();
    this.#note('info', 'disabled authentication');
    return this.#changed();
  }

  /** The password was checked by who proposed this. `index` becomes a part of a simple token. */
  authenticate({ name, simpleToken }: InternalAuthenticateRequest, index: Index) {
    if (!this.#enabled) return errors.authNotEnabled;
    const user = this.#users.get(name);
    if (user === null || user.options?.noPassword === true) return errors.authFailed;
    try {
      return { token: this.#options.tokens.assign(name, this.#revision, simpleToken, index) };
    } catch (error) {
      if (error instanceof EtcdError) return error;
      throw error;
    }
  }

  addUser(request: AuthUserAddRequest): EtcdError | null {
    const { name } = request;
    if (name === '') return errors.userEmpty;
    if (isTooLong(name)) return errors.requestTooLarge;
    if (this.#users.get(name) !== null) return errors.userAlreadyExist;
    const options = request.options ?? { noPassword: false };
    const password = options.noPassword ? EMPTY_BYTES : this.#passwordOf(request);
    if (password === null) return errors.noPasswordUser;
    this.#users.put({ ...newUser(name), password, options });
    this.#note('info', 'added a user', { 'user-name': name });
    return this.#changed();
  }

  deleteUser(name: string): EtcdError | null {
    if (this.#enabled && name === ROOT) {
      this.#note('error', "cannot delete 'root' user", { 'user-name': name });
      return errors.invalidAuthMgmt;
    }
    const user = this.#users.get(name);
    if (user === null) return errors.userNotFound;
    this.#users.delete(name);
    this.#options.tokens.invalidateUser(name);
    this.#note('info', 'deleted a user', { 'user-name': name, 'user-roles': user.roles });
    return this.#changed();
  }

  changePassword(request: AuthUserChangePasswordRequest): EtcdError | null {
    const user = this.#users.get(request.name);
    if (user === null) return errors.userNotFound;
    const needsNone = user.options?.noPassword === true;
    const password = needsNone ? EMPTY_BYTES : this.#passwordOf(request);
    if (password === null) return errors.noPasswordUser;
    this.#users.put({ ...user, password });
    this.#options.tokens.invalidateUser(request.name);
    const told = { 'user-name': request.name, 'user-roles': user.roles };
    this.#note('info', 'changed a password of a user', told);
    return this.#changed();
  }

  /** etcd: a role named root need not exist to be granted. */
  grantRole(name: string, role: string): EtcdError | null {
    const user = this.#users.get(name);
    if (user === null) return errors.userNotFound;
    if (role !== ROOT && this.#roles.get(role) === null) return errors.roleNotFound;
    if (user.roles.includes(role)) {
      this.#note('warn', 'ignored grant role request to a user', {
        'user-name': name,
        'user-roles': user.roles,
        'duplicate-role-name': role,
      });
      return null;
    }
    const roles = [...user.roles, role].sort(byBytes);
    this.#users.put({ ...user, roles });
    this.#note('info', 'granted a role to a user', {
      'user-name': name,
      'user-roles': roles,
      'added-role-name': role,
    });
    return this.#changed();
  }

  revokeRole(name: string, role: string): EtcdError | null {
    if (this.#enabled && name === ROOT && role === ROOT) {
      const told = { 'user-name': name, 'role-name': role };
      this.#note('error', "'root' user cannot revoke 'root' role", told);
      return errors.invalidAuthMgmt;
    }
    const user = this.#users.get(name);
    if (user === null) return errors.userNotFound;
    if (!user.roles.includes(role)) return errors.roleNotGranted;
    const updated = without(user, role);
    this.#users.put(updated);
    this.#note('info', 'revoked a role from a user', {
      'user-name': name,
      'old-user-roles': user.roles,
      'new-user-roles': updated.roles,
      'revoked-role-name': role,
    });
    return this.#changed();
  }

  addRole(name: string): EtcdError | null {
    if (name === '') return errors.roleEmpty;
    if (isTooLong(name)) return errors.requestTooLarge;
    if (this.#roles.get(name) !== null) return errors.roleAlreadyExist;
    this.#roles.put({ name: Buffer.from(name), keyPermission: [] });
    this.#note('info', 'created a role', { 'role-name': name });
    return this.#changed();
  }

  deleteRole(name: string): EtcdError | null {
    if (this.#enabled && name === ROOT) {
      this.#note('error', "cannot delete 'root' role", { 'role-name': name });
      return errors.invalidAuthMgmt;
    }
    if (this.#roles.get(name) === null) return errors.roleNotFound;
    this.#roles.delete(name);
    this.#note('info', 'deleted a role', { 'role-name': name });
    for (const user of this.#users.all()) {
      if (user.roles.includes(name)) this.#users.put(without(user, name));
    }
    return this.#changed();
  }

  grantPermission({ name, perm }: AuthRoleGrantPermissionRequest): EtcdError | null {
    if (perm === null) return errors.permissionNotGiven;
    if (!isPermissionRange(perm)) return errors.invalidAuthMgmt;
    const role = this.#roles.get(name);
    if (role === null) return errors.roleNotFound;
    this.#roles.put({ ...role, keyPermission: withPermission(role.keyPermission, perm) });
    this.#note('info', 'granted/updated a permission to a user', {
      // etcd: the role, under this name.
      'user-name': name,
      'permission-name': PERMISSION_NAMES[perm.permType] ?? '',
      key: text(perm.key),
      'range-end': text(perm.rangeEnd),
    });
    return this.#changed();
  }

  revokePermission(request: AuthRoleRevokePermissionRequest): EtcdError | null {
    const role = this.#roles.get(request.role);
    if (role === null) return errors.roleNotFound;
    const keyPermission = role.keyPermission.filter(
      ({ key, rangeEnd }) => key !== request.key || rangeEnd !== request.rangeEnd,
    );
    if (keyPermission.length === role.keyPermission.length) return errors.permissionNotGranted;
    this.#roles.put({ ...role, keyPermission });
    this.#note('info', 'revoked a permission on range', {
      'role-name': request.role,
      key: text(request.key),
      'range-end': text(request.rangeEnd),
    });
    return this.#changed();
  }

  #permissionsOf(name: string, user: User): UserPermissions {
    let permissions = this.#permissions.get(name);
    if (permissions === undefined) {
      permissions = new UserPermissions();
      for (const role of user.roles) {
        for (const perm of this.#roles.get(role)?.keyPermission ?? []) permissions.add(perm);
      }
      this.#permissions.set(name, permissions);
    }
    return permissions;
  }

  #passwordOf({
    password,
    hashedPassword,
  }: Pick<AuthUserAddRequest, 'password' | 'hashedPassword'>): Uint8Array | null {
    if (password !== '' && hashedPassword === '') {
      const hash = this.#options.passwords.hashNow(password);
      return hash === null ? null : Buffer.from(hash);
    }
    // etcd: Go's decoder passes over line ends.
    const text = hashedPassword.replace(/[\r\n]/g, '');
    return BASE64.test(text) ? Buffer.from(text, 'base64') : null;
  }

  #note(level: AuthNote['level'], msg: string, fields: AuthNote['fields'] = {}): void {
    this.#notes = [{ level, msg, fields }];
  }

  #changed(): null {
    this.#permissions.clear();
    this.#saveRevision(this.#revision + 1);
    return null;
  }

  #saveRevision(revision: number): void {
    this.#revision = revision;
    this.#rows.put(revisionRow, bytesFromU64(BigInt(revision)));
  }
}

/**
 * etcd: only the first permission with the key is looked at, so that one with another range end
 * comes twice. Which is the first is left to a sort that is not stable, and members must agree.
 */
function withPermission(permissions: readonly Permission[], perm: Permission): Permission[] {
  const first = permissions.findIndex(({ key }) => key >= perm.key);
  const found = permissions[first];
  if (found !== undefined && found.key === perm.key && found.rangeEnd === perm.rangeEnd) {
    return permissions.with(first, { ...found, permType: perm.permType });
  }
  const added = [...permissions, perm];
  goSort(added, (a, b) => a.key < b.key);
  return added;
}

const PERMISSION_NAMES: Readonly<Record<number, string>> = {
  [Type.READ]: 'READ',
  [Type.WRITE]: 'WRITE',
  [Type.READWRITE]: 'READWRITE',
};

function text(key: Key): string {
  return Buffer.from(key, 'latin1').toString('utf8');
}

function without(user: User, role: string): User {
  return { ...user, roles: user.roles.filter((name) => name !== role) };
}

// etcd: ends here for good, as its database file takes no longer keys.
function isTooLong(name: string): boolean {
  return Buffer.byteLength(name) > limits.authNameBytesMax;
}
