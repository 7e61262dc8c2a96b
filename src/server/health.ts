/** What a member says about its health over HTTP (`etcdhttp/health.go`). */

import { ROOT } from '../auth/auth-store.ts';
import { AlarmType, type RangeRequest } from '../codec/gen/etcdserverpb.ts';
import { EtcdError } from '../errors.ts';
import { readOptions } from '../mvcc/range.ts';
import type { Replica } from '../replica/replica.ts';
import { keyFromText } from '../types.ts';
import type { Kv } from './kv.ts';
import type { Caller } from './rpc.ts';

export interface HealthObserver {
  /** `/health` was asked. */
  health(ok: boolean): void;
  /** One check of `/livez` or `/readyz` ran. */
  check(type: string, name: string, ok: boolean): void;
}

export interface HealthAnswer {
  readonly ok: boolean;
  readonly body: string;
}

/** etcd: a read like a client's, which counts as one. */
const HEALTH_RANGE: RangeRequest = {
  ...readOptions(keyFromText('health')),
  limit: 1,
  keysOnly: true,
  serializable: false,
};

/** etcd: the member asks as root, so that users and roles do not matter to its health. */
const ITSELF: Caller = {
  commonName: ROOT,
  overGateway: false,
  cancelled: false,
  metadata: () => null,
  onCancel: () => () => {},
};

type Check = () => Promise<string | null>;

export interface Health {
  health(query: URLSearchParams): Promise<HealthAnswer>;
  /** Whether there is such a check; an empty name means all of them. */
  has(type: 'livez' | 'readyz', name: string): boolean;
  /** `/livez`, `/readyz` and their single checks. */
  probe(type: 'livez' | 'readyz', name: string, query: URLSearchParams): Promise<HealthAnswer>;
}

export function createHealth(
  replica: Replica,
  kv: Pick<Kv, 'range'>,
  observer: HealthObserver,
): Health {
  const { alarms, members } = replica.stateMachine;

  async function read(linearizable: boolean): Promise<string | null> {
    try {
      await kv.range({ ...HEALTH_RANGE, serializable: !linearizable }, ITSELF);
      return null;
    } catch (error) {
      if (error instanceof EtcdError) return error.message;
      throw error;
    }
  }

  const serializableRead: readonly [string, Check] = ['serializable_read', () => read(false)];
  const checks: Readonly<Record<'livez' | 'readyz', ReadonlyMap<string, Check>>> = {
    livez: new Map([serializableRead]),
    readyz: new Map([
      [
        'data_corruption',
        async () => (alarms.has(AlarmType.CORRUPT) ? 'alarm activated: CORRUPT' : null),
      ],
      serializableRead,
      ['linearizable_read', () => read(true)],
      [
        'non_learner',
        async () =>
          members.get(replica.memberId)?.isLearner === true ? 'not supported for learner' : null,
      ],
    ]),
  };

  /** The first thing that is wrong, in etcd's order; empty when nothing is. */
  async function reason(query: URLSearchParams): Promise<string> {
    const excluded = query.getAll('exclude');
    for (const { alarm } of alarms.list()) {
      const name = alarmName(alarm);
      if (!excluded.includes(name)) return `ALARM ${name}`;
    }
    const serializable = query.get('serializable') === 'true';
    if (!serializable && replica.lead === null) return 'RAFT NO LEADER';
    const failure = await read(!serializable);
    return failure === null ? '' : `RANGE ERROR:${failure}`;
  }

  return {
    async health(query) {
      const why = await reason(query);
      const ok = why === '';
      observer.health(ok);
      const body = JSON.stringify({ health: String(ok), reason: why });
      return { ok, body: ok ? body : `${body}\n` };
    },

    has(type, name) {
      return name === '' || checks[type].has(name);
    },

    async probe(type, name, query) {
      // etcd: only the root path takes exclusions.
      const excluded = new Set(name === '' ? query.getAll('exclude') : []);
      const chosen = [...checks[type]].filter(
        ([check]) => (name === '' || check === name) && !excluded.has(check),
      );
      const lines: string[] = [];
      let ok = true;
      for (const [check, run] of chosen) {
        const failure = await run();
        observer.check(type, check, failure === null);
        if (failure !== null) ok = false;
        lines.push(failure === null ? `[+]${check} ok` : `[-]${check} failed: ${failure}`);
      }
      if (!ok) return { ok, body: `${lines.join('\n')}\n\n` };
      const verbose = query.has('verbose') ? lines.map((line) => `${line}\n`).join('') : '';
      return { ok, body: `${verbose}ok\n` };
    },
  };
}

function alarmName(alarm: number): string {
  if (alarm === AlarmType.NOSPACE) return 'NOSPACE';
  return alarm === AlarmType.CORRUPT ? 'CORRUPT' : 'UNKNOWN';
}
