import { expect, it } from 'vitest';
import { recordedLog } from '../../test/support/fake-cluster.ts';
import { checkFileDescriptors } from './file-descriptors.ts';

it.each([
  [819, 1024, true],
  [816, 1024, true],
  [815, 1024, false],
  [null, 1024, false],
  [5000, null, false],
])('%j of %j file descriptors: a warning is %s', (used, limit, warns) => {
  const { log, lines } = recordedLog();
  checkFileDescriptors({ used: () => used, limit: () => limit }, log);
  const line = { level: 'warn', msg: '80% of file descriptors are used', used, limit };
  expect(lines).toEqual(warns ? [line] : []);
});
