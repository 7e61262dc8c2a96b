import { beforeEach, describe, expect, it } from 'vitest';
import { LoneReplica, putRequest } from '../../test/support/lone-replica.ts';
import { Type } from '../codec/gen/authpb.ts';
import { type Compare, CompareResult, type RequestOp } from '../codec/gen/etcdserverpb.ts';
import { errors } from '../errors.ts';
import { readOptions } from '../mvcc/range.ts';
import { EMPTY_KEY, type Key, keyFromText, type LeaseId } from '../types.ts';
import type { CommandOf, ProposalKind } from './outcome.ts';

const k = keyFromText;
const LEASE = 0x1an as LeaseId;
const HASHED = Buffer.from('secret').toString('base64');

let lone: LoneReplica;

const auth = () => lone.replica.stateMachine.auth;
const as = (user: string) => ({ user, revision: auth().revision });
const propose = <C extends ProposalKind>(kind: C, value: CommandOf<C>, user = '') =>
  lone.whileRunning(lone.replica.propose(kind, value, user === '' ? undefined : as(user)));
const put = (key: string, user: string, more = {}) =>
  propose('put', putRequest(key, 'v', undefined, more), user);
const remove = (key: string, user: string, more: { rangeEnd?: Key; prevKv?: boolean } = {}) =>
  propose('deleteRange', { key: k(key), rangeEnd: EMPTY_KEY, prevKv: false, ...more }, user);
const get = (key: string, rangeEnd = EMPTY_KEY): RequestOp => ({
  request: {
    case: 'requestRange',
    value: { ...readOptions(k(key)), rangeEnd, serializable: false },
  },
});
const putOp = (key: string, more = {}): RequestOp => ({
  request: { case: 'requestPut', value: putRequest(key, 'v', undefined, more) },
});

/** Users w, r and rw may do with keys from k to l what their names say. */
beforeEach(async () => {
  lone = await LoneReplica.start();
  const access = { r: Type.READ, w: Type.WRITE, rw: Type.READWRITE };
  for (const name of ['root', ...Object.keys(access)]) {
    await propose('authUserAdd', { name, password: '', options: null, hashedPassword: HASHED });
  }
  await propose('authUserGrantRole', { user: 'root', role: 'root' });
  for (const [name, permType] of Object.entries(access)) {
    await propose('authRoleAdd', { name });
    const perm = { permType, key: k('k'), rangeEnd: k('l') };
    await propose('authRoleGrantPermission', { name, perm });
    await propose('authUserGrantRole', { user: name, role: name });
  }
  await propose('authEnable', {});
});

describe('an entry', () => {
  it('is refused to who may not write its keys, and leaves no trace', async () => {
    const { store } = lone.replica.stateMachine;
    await expect(put('k', '')).rejects.toBe(errors.userEmpty);
    await expect(put('k', 'r')).rejects.toBe(errors.permissionDenied);
    await expect(put('x', 'rw')).rejects.toBe(errors.permissionDenied);
    await expect(remove('k', 'r')).rejects.toBe(errors.permissionDenied);
    expect(store.revision).toBe(1);
    await put('k', 'w');
    await remove('k', 'w');
    expect(store.revision).toBe(3);
  });

  it('is judged by what counts when it is applied', async () => {
    const before = as('rw');
    await propose('authRoleAdd', { name: 'another' }, 'root');
    const late = lone.replica.propose('put', putRequest('k', 'v'), before);
    await expect(lone.whileRunning(late)).rejects.toBe(errors.authOldRevision);
  });

  it('that shows previous values needs to read them', async () => {
    await expect(put('k', 'w', { prevKv: true })).rejects.toBe(errors.permissionDenied);
    await put('k', 'rw', { prevKv: true });
    await expect(remove('k', 'w', { prevKv: true })).rejects.toBe(errors.permissionDenied);
    const range = { rangeEnd: k('l'), prevKv: true };
    await expect(remove('k', 'rw', range)).resolves.toMatchObject({ deleted: 1 });
  });

  it('with a transaction needs all that any of its branches may touch', async () => {
    const compare: Compare = {
      key: k('x'),
      rangeEnd: EMPTY_KEY,
      target: 0,
      result: CompareResult.EQUAL,
      targetUnion: null,
    };
    const txn = (success: RequestOp[], failure: RequestOp[] = [], compares: Compare[] = []) =>
      propose('txn', { compare: compares, success, failure }, 'rw');
    await txn([putOp('k'), get('k', k('l'))]);
    await expect(txn([putOp('k')], [putOp('x')])).rejects.toBe(errors.permissionDenied);
    await expect(txn([putOp('k')], [get('x')])).rejects.toBe(errors.permissionDenied);
    await expect(txn([putOp('k')], [], [compare])).rejects.toBe(errors.permissionDenied);
    const nested: RequestOp = {
      request: {
        case: 'requestTxn',
        value: { compare: [], success: [putOp('x')], failure: [] },
      },
    };
    await expect(txn([putOp('k'), nested])).rejects.toBe(errors.permissionDenied);
    expect(lone.replica.stateMachine.store.revision).toBe(2);
  });

  it('needs to write what its lease holds already', async () => {
    await propose('leaseGrant', { id: LEASE, ttl: 60 }, 'rw');
    await put('k', 'rw', { lease: LEASE });
    await put('x', 'root', { lease: LEASE });
    await expect(put('k2', 'rw', { lease: LEASE })).rejects.toBe(errors.permissionDenied);
    await expect(propose('leaseRevoke', { id: LEASE }, 'rw')).rejects.toBe(errors.permissionDenied);
    await remove('x', 'root');
    await put('k2', 'w', { lease: LEASE });
    await propose('leaseRevoke', { id: LEASE }, 'w');
    expect(lone.replica.stateMachine.store.get(k('k'))).toBeNull();
  });

  it('of the member itself lets leases expire, whatever they hold', async () => {
    await propose('leaseGrant', { id: LEASE, ttl: 2 }, 'rw');
    await put('k', 'rw', { lease: LEASE });
    await lone.clock.advance(5000);
    expect(lone.replica.stateMachine.store.get(k('k'))).toBeNull();
  });
});

describe('users and roles', () => {
  it('are for administrators, but everybody sees himself', async () => {
    await expect(propose('authUserList', {}, 'rw')).rejects.toBe(errors.permissionDenied);
    await expect(propose('authUserList', {})).rejects.toBe(errors.userEmpty);
    await expect(propose('authUserList', {}, 'root')).resolves.toEqual({
      names: ['r', 'root', 'rw', 'w'],
    });
    await expect(propose('authUserGet', { name: 'rw' }, 'rw')).resolves.toEqual({ roles: ['rw'] });
    await expect(propose('authUserGet', { name: 'r' }, 'rw')).rejects.toBe(errors.permissionDenied);
    await expect(propose('authRoleGet', { role: 'rw' }, 'rw')).resolves.toEqual({
      permissions: [{ permType: Type.READWRITE, key: 'k', rangeEnd: 'l' }],
    });
    await expect(propose('authRoleGet', { role: 'r' }, 'rw')).rejects.toBe(errors.permissionDenied);
    await expect(propose('authRoleAdd', { name: 'x' }, 'rw')).rejects.toBe(errors.permissionDenied);
    await expect(propose('authDisable', {}, 'rw')).rejects.toBe(errors.permissionDenied);
    await expect(propose('authStatus', {})).resolves.toMatchObject({ enabled: true });
  });

  it('shows of a role named root what root may do', async () => {
    await propose('authRoleAdd', { name: 'root' }, 'root');
    const perm = { permType: Type.READ, key: k('a'), rangeEnd: EMPTY_KEY };
    await propose('authRoleGrantPermission', { name: 'root', perm }, 'root');
    await expect(propose('authRoleGet', { role: 'root' }, 'root')).resolves.toEqual({
      permissions: [{ permType: Type.READWRITE, key: '', rangeEnd: '\x00' }],
    });
  });

  it('makes a token of the index that was applied before', async () => {
    const before = lone.replica.applied;
    const value = { name: 'rw', password: '', simpleToken: 'letters' };
    await expect(propose('authenticate', value)).resolves.toEqual({ token: `letters.${before}` });
  });

  it('outlive the process', async () => {
    const { revision } = auth();
    await lone.restart();
    expect([auth().enabled, auth().revision]).toEqual([true, revision]);
    await expect(put('k', 'rw')).resolves.toMatchObject({ revision: 2 });
  });
});
