import { expect, it } from 'vitest';
import { AlarmAction, AlarmType } from '../codec/gen/etcdserverpb.ts';
import { createLog, type Log } from '../log.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { MemoryEngine } from '../platform/memory-engine.ts';
import { RowTable } from '../platform/rows.ts';
import { Alarms } from '../replica/alarms.ts';
import type { MemberId } from '../types.ts';
import { logQuotaExceeded, showAlarms } from './space-observation.ts';

function newMetrics() {
  return createMetrics({ serverVersion: '', features: [], grpcMethods: [], extensive: false });
}

function recorded(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => {
    const { ts: _, caller: __, ...fields } = JSON.parse(line) as Record<string, unknown>;
    lines.push(JSON.stringify(fields));
  };
  return { log: createLog({ level: 'info', format: 'json', outputs: [], write }), lines };
}

it('shows each alarm as 1, and as 0 once it is cleared', async () => {
  const metrics = newMetrics();
  const alarms = await Alarms.open(await RowTable.open(new MemoryEngine()));
  const memberId = 0xabcn as MemberId;
  const alarm = AlarmType.NOSPACE;
  const shown = async (): Promise<string> => {
    showAlarms(metrics, alarms);
    const [line = ''] = (await metrics.render()).match(/^etcd_debugging_server_alarms.*$/m) ?? [];
    return line;
  };
  expect(await shown()).toBe('');
  alarms.apply({ action: AlarmAction.ACTIVATE, memberId, alarm });
  alarms.apply({ action: AlarmAction.ACTIVATE, memberId, alarm });
  const labels = '{alarm_type="NOSPACE",server_id="abc"}';
  expect(await shown()).toBe(`etcd_debugging_server_alarms${labels} 1`);
  alarms.apply({ action: AlarmAction.DEACTIVATE, memberId, alarm });
  expect(await shown()).toBe(`etcd_debugging_server_alarms${labels} 0`);
  metrics.close();
});

it('says when a request that was applied did not fit', () => {
  const { log, lines } = recorded();
  logQuotaExceeded(65_536, log);
  expect(lines).toEqual([
    '{"level":"warn","msg":"message exceeded backend quota; raising alarm",' +
      '"quota-size-bytes":65536,"quota-size":"66 kB",' +
      '"error":"etcdserver: no space"}',
  ]);
});
