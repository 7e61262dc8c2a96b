import { describe, expect, it } from 'vitest';
import { inertSettings } from './inert.ts';
import { configFromOptions } from './options.ts';

describe('settings without an effect', () => {
  it('are told where they are set', () => {
    const { config } = configFromOptions({ unsafeNoFsync: true, memoryMlock: true, maxWals: 3 });
    expect(inertSettings(config)).toEqual(['memory-mlock', 'unsafe-no-fsync']);
    expect(inertSettings(configFromOptions({}).config)).toEqual([]);
  });
});
