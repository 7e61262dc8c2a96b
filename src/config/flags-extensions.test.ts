import { describe, expect, it } from 'vitest';
import { parseCommandLine } from './command-line.ts';
import { extensionFlags } from './flags-extensions.ts';
import { flagsText } from './help.ts';

function parse(...flags: string[]) {
  return parseCommandLine(flags, {}, () => '');
}

describe('settings that etcd does not have', () => {
  it('are off by default', () => {
    const parsed = parse();
    expect(parsed).toMatchObject({
      kind: 'run',
      config: {
        extSpaceWarningPercent: 0,
        extSpaceAlarmClearPercent: 0,
        extAuditLogPath: '',
        extUserRequestsPerSecond: 0,
      },
    });
    for (const flag of Object.values(extensionFlags)) expect([0, '']).toContain(flag.default);
  });

  it('stand under a heading of their own in the list of flags', () => {
    const [, section = ''] = flagsText().split('Extensions that etcd does not have:\n');
    for (const [name, flag] of Object.entries(extensionFlags)) {
      expect(section).toContain(`--${name} '${flag.default}'`);
    }
  });

  it('are refused beyond what they can mean', () => {
    const refused = (flag: string) => {
      const parsed = parse(flag);
      return parsed.kind === 'fail' ? JSON.stringify(parsed.notes) : '';
    };
    const warning = '--ext-space-warning-percent must be <=100 (set to 101)';
    expect(refused('--ext-space-warning-percent=101')).toContain(warning);
    const clear = '--ext-space-alarm-clear-percent must be <=95 (set to 96)';
    expect(refused('--ext-space-alarm-clear-percent=96')).toContain(clear);
    expect(refused('--ext-space-alarm-clear-percent=95')).toBe('');
  });
});
