/** Prometheus' text format 0.0.4 as Go's client writes it, and the families for prom-client. */

import { type Metric, Registry } from 'prom-client';
import { type Families, type Family, goFloat } from './instruments.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

export function renderFamilies(families: Families): string {
  return families.all().map(familyText).join('');
}

function familyText({ name, help, type, samples }: Family): string {
  const found = samples();
  if (found.length === 0) return '';
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  let text = `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n`;
  for (const { suffix, labels, value } of found) {
    const braces = labels === '' ? '' : `{${labels}}`;
    text += `${name}${suffix}${braces} ${goFloat(value)}\n`;
  }
  return text;
}

/** For a program that embeds the server and serves one registry of its own. */
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
