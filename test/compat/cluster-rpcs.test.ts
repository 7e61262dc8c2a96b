// The same story told to three members of etcd and to three of ours, on the same addresses one
// after the other: what clients are answered must be equal, word for word.
import { beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { ClusterServers, findSeats, type Seat } from './cluster-servers.ts';
import { SEATS, STORY } from './cluster-story.ts';
import { Transcript } from './cluster-transcript.ts';
import { olderThan } from './servers.ts';

const FOUNDERS = 3;
const TELL_MS_MAX = 600_000;
const { node, go, exact, ctls } = await findBinaries();
const ctl = ctls.find(({ version }) => !olderThan(version, 3, 7));

describe.runIf(exact && ctl !== undefined)('a cluster of three', () => {
  let ours: ReadonlyMap<string, readonly string[]>;
  let etcds: ReadonlyMap<string, readonly string[]>;

  beforeAll(async () => {
    const seats = await findSeats(SEATS);
    etcds = await tell(go ?? [], seats);
    ours = await tell(node, seats);
  }, TELL_MS_MAX);

  for (const title of Object.keys(STORY)) {
    it(title, () => {
      expect(ours.get(title)).toEqual(etcds.get(title));
    });
  }
});

async function tell(
  command: readonly string[],
  seats: readonly Seat[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const servers = await ClusterServers.found(command, seats.slice(0, FOUNDERS));
  const transcript = new Transcript(servers, seats, ctl?.path ?? '');
  try {
    for (const [title, chapter] of Object.entries(STORY)) {
      transcript.chapter(title);
      await chapter(transcript);
    }
    return transcript.lines;
  } catch (error) {
    const last = [...transcript.lines.values()].at(-1) ?? [];
    throw new Error(`${String(error)}\nafter ${last.join('\n\n')}`, { cause: error });
  } finally {
    if (process.env['SHOW'] !== undefined) {
      for (const lines of transcript.lines.values()) console.log(lines.join('\n\n'));
    }
    await servers.close();
  }
}
