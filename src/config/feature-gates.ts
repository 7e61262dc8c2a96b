/**
 * The feature gates of etcd 3.7. A gate that was set explicitly keeps its value; AllAlpha and
 * AllBeta decide the others of their stage.
 */

import { goQuote, parseBool, ValueError } from './go-text.ts';

interface GateSpec {
  readonly stage: 'ALPHA' | 'BETA';
  readonly default: boolean;
}

export const featureGateSpecs = {
  AllAlpha: { stage: 'ALPHA', default: false },
  AllBeta: { stage: 'BETA', default: false },
  CompactHashCheck: { stage: 'ALPHA', default: false },
  FastLeaseKeepAlive: { stage: 'BETA', default: true },
  InitialCorruptCheck: { stage: 'ALPHA', default: false },
  LeaseCheckpoint: { stage: 'ALPHA', default: false },
  LeaseCheckpointPersist: { stage: 'ALPHA', default: false },
  PriorityRequest: { stage: 'ALPHA', default: false },
  SetMemberLocalAddr: { stage: 'ALPHA', default: false },
  StopGRPCServiceOnDefrag: { stage: 'ALPHA', default: false },
  TxnModeWriteWithSharedBuffer: { stage: 'BETA', default: true },
} as const satisfies Record<string, GateSpec>;

export type FeatureGate = keyof typeof featureGateSpecs;
export const featureGateNames = Object.keys(featureGateSpecs) as readonly FeatureGate[];

export interface FeatureGates {
  /** Only the gates that were set, directly or by AllAlpha and AllBeta. */
  readonly set: ReadonlyMap<FeatureGate, boolean>;
  /** The same as etcd prints it: sorted, `A=true,B=false`. */
  readonly text: string;
}

export const noFeatureGates: FeatureGates = { set: new Map(), text: '' };

export function gateEnabled(gates: FeatureGates, gate: FeatureGate): boolean {
  return gates.set.get(gate) ?? featureGateSpecs[gate].default;
}

function isGate(name: string): name is FeatureGate {
  return Object.hasOwn(featureGateSpecs, name);
}

/** `A=true,B=false` on top of what was set before. Throws `ValueError` with etcd's text. */
export function parseFeatureGates(text: string, previous: FeatureGates): FeatureGates {
  const wanted = new Map<string, boolean>();
  for (const part of text.split(',')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim();
    if (equals < 0) throw new ValueError(`missing bool value for ${name}`);
    const valueText = part.slice(equals + 1).trim();
    const value = parseBool(valueText);
    if (value === null) {
      const reason = `strconv.ParseBool: parsing ${goQuote(valueText)}: invalid syntax`;
      throw new ValueError(`invalid value of ${name}=${valueText}, err: ${reason}`);
    }
    wanted.set(name, value);
  }
  return withGates(previous, wanted);
}

function withGates(previous: FeatureGates, wanted: ReadonlyMap<string, boolean>): FeatureGates {
  const set = new Map(previous.set);
  for (const [name, value] of wanted) {
    if (!isGate(name)) throw new ValueError(`unrecognized feature gate: ${name}`);
    set.set(name, value);
  }
  for (const [all, stage] of [
    ['AllAlpha', 'ALPHA'],
    ['AllBeta', 'BETA'],
  ] as const) {
    const value = wanted.get(all);
    if (value === undefined) continue;
    for (const gate of featureGateNames) {
      if (featureGateSpecs[gate].stage === stage && !set.has(gate)) set.set(gate, value);
    }
  }
  const pairs = [...set].map(([name, value]) => `${name}=${value}`).sort();
  return { set, text: pairs.join(',') };
}
