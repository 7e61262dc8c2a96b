import { beforeEach, describe, expect, it } from 'vitest';
import { authOptions, type FakeAuth } from '../../test/support/auth.ts';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import { FakeCaller, FakeOutput } from '../../test/support/services.ts';
import { AuthStore } from '../auth/auth-store.ts';
import { NOBODY } from '../auth/identity.ts';
import { errors } from '../errors.ts';
import { Access, forAdmins } from './access.ts';
import type { Method } from './rpc.ts';

const APPLIED = 20;
const HASHED = Buffer.from('secret').toString('base64');

let options: FakeAuth;
let auth: AuthStore;
let access: Access;
let caller: FakeCaller;
/** What was waited for, and how it ends. */
let waited: number[];
let whenApplied: () => Promise<void>;

beforeEach(() => {
  options = authOptions();
  auth = new AuthStore({ ...options, rows: new MemoryRows() });
  for (const name of ['root', 'u']) {
    auth.addUser({ name, password: '', options: null, hashedPassword: HASHED });
  }
  auth.grantRole('root', 'root');
  waited = [];
  whenApplied = () => Promise.reject(errors.timeoutWaitAppliedIndex);
  access = new Access({
    replica: {
      stateMachine: { auth },
      applied: APPLIED,
      whenApplied(index) {
        waited.push(index);
        return whenApplied();
      },
    },
    tokens: options.tokens,
  });
  caller = new FakeCaller();
});

const tokenOf = (user: string, index: number): string =>
  options.tokens.assign(user, auth.revision, 'letters', index);

describe('who calls', () => {
  it('does not matter while authentication is off, not even with a bad token', async () => {
    caller.headers.set('token', 'garbage');
    expect(access.identify(caller)).toBe(NOBODY);
    expect(await access.known(caller)).toBe(NOBODY);
    expect(await access.admin(caller)).toBe(NOBODY);
  });

  it('is told by a token, in either header, with or without Bearer', () => {
    auth.enable();
    const token = tokenOf('u', 5);
    const u = { user: 'u', revision: auth.revision };
    expect(access.identify(caller)).toBe(NOBODY);
    caller.headers.set('authorization', `Bearer ${token}`);
    expect(access.identify(caller)).toEqual(u);
    caller.headers.set('authorization', token);
    expect(access.identify(caller)).toEqual(u);
    for (const bad of [`bearer ${token}`, `Bearer  ${token}`, `Bearer Bearer ${token}`, '']) {
      caller.headers.set('authorization', bad);
      expect(() => access.identify(caller), bad).toThrow(errors.invalidAuthToken);
    }
    caller.headers.set('authorization', token);
    caller.headers.set('token', 'unknown.5');
    expect(() => access.identify(caller)).toThrow(errors.invalidAuthToken);
    expect(waited).toEqual([]);
  });

  it('is told by a certificate where there is no token', () => {
    auth.enable();
    const certified = Object.assign(caller, { commonName: 'u' });
    expect(access.identify(certified)).toEqual({ user: 'u', revision: auth.revision });
    certified.headers.set('token', 'garbage');
    expect(() => access.identify(certified)).toThrow(errors.invalidAuthToken);
  });

  it('waits for the entry that made the token', async () => {
    auth.enable();
    caller.headers.set('token', `letters.${APPLIED}`);
    whenApplied = async () => {
      tokenOf('u', APPLIED);
    };
    await expect(access.identify(caller)).resolves.toMatchObject({ user: 'u' });
    expect(waited).toEqual([APPLIED + 1]);
  });

  it('is nobody with a token that nothing has made in time', async () => {
    auth.enable();
    caller.headers.set('token', 'letters.9007199254740991');
    await expect(access.identify(caller)).rejects.toBe(errors.invalidAuthToken);
    whenApplied = async () => {};
    await expect(access.identify(caller)).rejects.toBe(errors.invalidAuthToken);
    whenApplied = () => Promise.reject(errors.stopped);
    await expect(access.identify(caller)).rejects.toBe(errors.stopped);
  });
});

describe('an answer', () => {
  it('is given up when permissions change while it is made', async () => {
    auth.enable();
    caller.headers.set('token', tokenOf('root', 5));
    const unchanged = access.guard(
      caller,
      () => null,
      () => 'answer',
    );
    await expect(unchanged).resolves.toBe('answer');
    const changed = access.guard(
      caller,
      () => null,
      () => auth.addRole('r'),
    );
    await expect(changed).rejects.toBe(errors.authOldRevision);
    let asked = 0;
    const refused = access.guard(
      caller,
      () => errors.permissionDenied,
      () => asked++,
    );
    await expect(refused).rejects.toBe(errors.permissionDenied);
    expect(asked).toBe(0);
  });
});

describe('methods for administrators', () => {
  const unary: Method = {
    kind: 'unary',
    service: 's',
    name: 'Unary',
    call: () => Buffer.from('done'),
  };

  it('refuse everybody else', async () => {
    const method = forAdmins(access, unary, (error) => expect.unreachable(String(error)));
    if (method.kind !== 'unary') throw new Error('it is unary');
    const none = new Uint8Array(0);
    expect(method.call(none, caller)).toEqual(Buffer.from('done'));
    auth.enable();
    await expect(method.call(none, caller)).rejects.toBe(errors.userEmpty);
    caller.headers.set('token', tokenOf('u', 5));
    await expect(method.call(none, caller)).rejects.toBe(errors.permissionDenied);
    caller.headers.set('token', tokenOf('root', 6));
    await expect(method.call(none, caller)).resolves.toEqual(Buffer.from('done'));
  });

  it('do not begin a stream for them, nor for who has gone', async () => {
    let began = 0;
    const streaming: Method = {
      kind: 'server-stream',
      service: 's',
      name: 'Stream',
      open: () => ({ message() {}, halfClose: () => began++, close() {} }),
    };
    const method = forAdmins(access, streaming, (error) => expect.unreachable(String(error)));
    if (method.kind === 'unary') throw new Error('it is a stream');
    auth.enable();
    const output = new FakeOutput(() => null);
    method.open(caller, output).halfClose();
    await expect.poll(() => output.ended).toBe(errors.userEmpty);
    caller.headers.set('token', tokenOf('root', 6));
    const gone = method.open(caller, new FakeOutput(() => null));
    caller.cancelled = true;
    gone.halfClose();
    await Promise.resolve();
    expect(began).toBe(0);
    caller.cancelled = false;
    method.open(caller, new FakeOutput(() => null)).halfClose();
    await expect.poll(() => began).toBe(1);
  });
});
