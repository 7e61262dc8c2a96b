import { beforeEach, describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import { FakeCaller, type Services, startServices } from '../../test/support/services.ts';
import { Type } from '../codec/gen/authpb.ts';
import {
  decodeWatchResponse,
  encodeWatchRequest,
  type WatchCreateRequest,
} from '../codec/gen/etcdserverpb.ts';
import { decodeLockResponse, encodeLockRequest } from '../codec/gen/v3lockpb.ts';
import { Code, errors } from '../errors.ts';
import { readOptions } from '../mvcc/range.ts';
import { keyFromText, type LeaseId } from '../types.ts';

const k = keyFromText;
const LEASE = 7n as LeaseId;

let services: Services;

const run = <T>(promise: T | Promise<T>): Promise<T> => services.run(promise);
const addUser = (name: string, password: string, caller?: FakeCaller) =>
  run(services.auth.userAdd({ name, password, options: null, hashedPassword: '' }, caller));

async function login(name: string, password: string): Promise<FakeCaller> {
  const { token } = await run(services.auth.authenticate({ name, password }));
  const caller = new FakeCaller();
  caller.headers.set('token', token);
  return caller;
}

const range = (key: string, caller?: FakeCaller, serializable = false) =>
  run(services.kv.range({ ...readOptions(k(key)), serializable }, caller));
const put = (key: string, caller?: FakeCaller, lease?: LeaseId) =>
  run(services.kv.put(putRequest(key, 'v', lease), caller));

/** With authentication on, and a user who may do everything with keys from k to l. */
beforeEach(async () => {
  services = await startServices();
  const { auth } = services;
  await addUser('root', 'secret');
  await addUser('u', 'pass');
  await run(auth.userGrantRole({ user: 'root', role: 'root' }));
  await run(auth.roleAdd({ name: 'r' }));
  const perm = { permType: Type.READWRITE, key: k('k'), rangeEnd: k('l') };
  await run(auth.roleGrantPermission({ name: 'r', perm }));
  await run(auth.userGrantRole({ user: 'u', role: 'r' }));
  await run(auth.enable({}));
});

describe('logging in', () => {
  it('needs the password, and tells nobody who exists, neither by text nor by time', async () => {
    await expect(login('u', 'wrong')).rejects.toBe(errors.authFailed);
    await expect(login('nobody', 'pass')).rejects.toBe(errors.authFailed);
    const { passwords } = services;
    expect(passwords.compared).toEqual(['hash of pass', null]);
    const options = { noPassword: true };
    const root = await login('root', 'secret');
    await run(
      services.auth.userAdd({ name: 'cn', password: 'x', options, hashedPassword: '' }, root),
    );
    await expect(login('cn', 'x')).rejects.toBe(errors.noPasswordUser);
    await run(services.auth.disable({}, root));
    await expect(login('u', 'pass')).rejects.toBe(errors.authNotEnabled);
  });

  it('is tried again when users change while the password is compared', async () => {
    const { passwords, replica } = services;
    const hashedPassword = Buffer.from('hash of other').toString('base64');
    passwords.meanwhile = async () => {
      passwords.meanwhile = async () => {};
      const change = { name: 'u', password: '', hashedPassword };
      await replica.propose('authUserChangePassword', change, { user: 'root', revision: 1 });
    };
    await expect(login('u', 'pass')).rejects.toBe(errors.authFailed);
    expect(passwords.compared).toEqual(['hash of pass', 'hash of other']);
    await expect(range('k', await login('u', 'other'))).resolves.toMatchObject({ count: 0 });
  });

  it('ends when the password is changed or the user is deleted', async () => {
    const u = await login('u', 'pass');
    const root = await login('root', 'secret');
    const { auth } = services;
    await run(auth.userChangePassword({ name: 'u', password: 'new', hashedPassword: '' }, root));
    await expect(range('k', u)).rejects.toBe(errors.invalidAuthToken);
    const again = await login('u', 'new');
    await run(auth.userDelete({ name: 'u' }, root));
    await expect(range('k', again)).rejects.toBe(errors.invalidAuthToken);
  });
});

describe('keys', () => {
  it('are read and written by who may', async () => {
    const u = await login('u', 'pass');
    await put('k1', u);
    await expect(range('k1', u)).resolves.toMatchObject({ count: 1 });
    await expect(range('k1', u, true)).resolves.toMatchObject({ count: 1 });
    for (const serializable of [false, true]) {
      await expect(range('x', u, serializable)).rejects.toBe(errors.permissionDenied);
      await expect(range('k1', undefined, serializable)).rejects.toBe(errors.userEmpty);
    }
    await expect(put('x', u)).rejects.toBe(errors.permissionDenied);
    const compaction = { revision: 1, physical: false };
    await expect(run(services.kv.compact(compaction, u))).rejects.toBe(errors.permissionDenied);
    await expect(run(services.kv.compact(compaction))).rejects.toBe(errors.userEmpty);
  });

  it('are only read in transactions by who may read all of them', async () => {
    const u = await login('u', 'pass');
    const get = (key: string) => ({
      request: {
        case: 'requestRange' as const,
        value: { ...readOptions(k(key)), serializable: false },
      },
    });
    const txn = (keys: string[], caller?: FakeCaller) =>
      run(services.kv.txn({ compare: [], success: keys.map(get), failure: [] }, caller));
    await expect(txn(['k'], u)).resolves.toMatchObject({ succeeded: true });
    await expect(txn(['k', 'x'], u)).rejects.toBe(errors.permissionDenied);
    await expect(txn(['k'])).rejects.toBe(errors.userEmpty);
  });
});

describe('leases', () => {
  it('are for who may do with their keys what happens to them', async () => {
    const [u, root] = [await login('u', 'pass'), await login('root', 'secret')];
    const { lease } = services;
    await expect(run(lease.grant({ id: LEASE, ttl: 60 }))).rejects.toBe(errors.userEmpty);
    await run(lease.grant({ id: LEASE, ttl: 60 }, u));
    await put('k', u, LEASE);
    await expect(run(lease.renew({ id: LEASE }, u))).resolves.toMatchObject({ ttl: 60 });
    const withKeys = { id: LEASE, keys: true };
    await expect(run(lease.timeToLive(withKeys, u))).resolves.toMatchObject({ keys: ['k'] });
    await put('x', root, LEASE);
    await expect(run(lease.renew({ id: LEASE }, u))).rejects.toBe(errors.permissionDenied);
    await expect(run(lease.renew({ id: LEASE }))).rejects.toBe(errors.userEmpty);
    await expect(run(lease.timeToLive(withKeys, u))).rejects.toBe(errors.permissionDenied);
    const times = { id: LEASE, keys: false };
    await expect(run(lease.timeToLive(times, u))).resolves.toMatchObject({ grantedTtl: 60 });
    await expect(run(lease.leases({}, u))).rejects.toBe(errors.permissionDenied);
    await expect(run(lease.leases({}, root))).resolves.toMatchObject({ leases: [{ id: LEASE }] });
    await expect(run(lease.revoke({ id: LEASE }, u))).rejects.toBe(errors.permissionDenied);
    await expect(run(lease.renew({ id: LEASE }, root))).resolves.toMatchObject({ ttl: 60 });
    await run(lease.revoke({ id: LEASE }, root));
  });
});

describe('a lock', () => {
  const shape = { encode: encodeLockRequest, decode: decodeLockResponse };
  const lock = (caller: FakeCaller) =>
    services.call('Lock', shape, { name: k('k'), lease: 0n as LeaseId }, caller);

  it('is for who may write its keys, and who gives up waiting leaves no key behind', async () => {
    const u = await login('u', 'pass');
    await expect(run(lock(new FakeCaller()))).rejects.toMatchObject({
      code: Code.UNKNOWN,
      message: errors.userEmpty.message,
    });
    const { key } = await run(lock(u));
    expect(key.startsWith('k/')).toBe(true);
    const waiting = new FakeCaller();
    waiting.headers.set('token', u.headers.get('token') ?? '');
    const second = lock(waiting).catch((error: unknown) => error);
    const { store } = services;
    while (store.keyCount < 2) await services.clock.settle();
    waiting.cancel();
    expect(await run(second)).toBe(errors.contextCanceled);
    expect(store.keyCount).toBe(1);
  });
});

describe('a watch', () => {
  const create = (key: string, rangeEnd = ''): { requestUnion: never } => {
    const value: WatchCreateRequest = {
      key: k(key),
      rangeEnd: k(rangeEnd),
      startRevision: 0,
      progressNotify: false,
      filters: [],
      prevKv: false,
      watchId: 0,
      fragment: false,
    };
    return { requestUnion: { case: 'createRequest', value } as never };
  };
  const refusal = (code: string, text: string) => ({
    watchId: -1,
    created: true,
    canceled: true,
    cancelReason: `rpc error: code = ${code} desc = ${text}`,
  });

  it('is refused to who may not read what it watches, and the stream goes on', async () => {
    const u = await login('u', 'pass');
    const { input, output, caller } = services.open(
      'Watch',
      encodeWatchRequest,
      decodeWatchResponse,
    );
    input.message(create('k'));
    caller.headers.set('token', 'garbage');
    input.message(create('k'));
    caller.headers.set('token', u.headers.get('token') ?? '');
    input.message(create('x'));
    input.message(create('k', 'm'));
    input.message(create('k', 'l'));
    await services.clock.settle();
    expect(output.sent).toMatchObject([
      refusal('InvalidArgument', errors.userEmpty.message),
      refusal('Unauthenticated', errors.invalidAuthToken.message),
      refusal('PermissionDenied', errors.permissionDenied.message),
      refusal('PermissionDenied', errors.permissionDenied.message),
      { watchId: 0, created: true, canceled: false },
    ]);
    expect(output.ended).toBeUndefined();
  });

  it('keeps its place behind one whose token is not known yet', async () => {
    const { input, output, caller } = services.open(
      'Watch',
      encodeWatchRequest,
      decodeWatchResponse,
    );
    const u = await login('u', 'pass');
    caller.headers.set('token', `none.${services.replica.applied}`);
    input.message(create('k'));
    caller.headers.set('token', u.headers.get('token') ?? '');
    input.message(create('k'));
    expect(output.sent).toEqual([]);
    // Any entry tells that the token was made up.
    await put('k', u);
    await services.clock.settle();
    expect(output.sent).toMatchObject([
      refusal('Unauthenticated', errors.invalidAuthToken.message),
      { watchId: 0, created: true },
    ]);
  });
});
