/**
 * The families as a registry of prom-client, for a program that embeds the server. Loaded only when
 * asked for: the library costs some 50 ms of a start.
 */

import { type Metric, Registry } from 'prom-client';
import type { Families } from './instruments.ts';

export function promRegistry(families: Families): Registry {
  const registry = new Registry();
  for (const family of families.all()) {
    const get = async () => ({
      name: family.name,
      help: family.help,
      type: family.type,
      aggregator: 'sum',
      values: family.samples().map(({ suffix, labels, value }) => ({
        metricName: `${family.name}${suffix}`,
        labels: parseLabels(labels),
        value,
      })),
    });
    // The registry only ever reads the name and calls `get`.
    registry.registerMetric({ name: family.name, get } as unknown as Metric);
  }
  return registry;
}

function parseLabels(text: string): Readonly<Record<string, string>> {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return Object.fromEntries(
    pairs.map(([, name = '', value = '']) => [
      name,
      value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character)),
    ]),
  );
}

export type { Registry } from 'prom-client';
