/** Messages, configurations and status in one readable line each, as the stories show them. */

import type { ConfState, Entry, Message } from '../../src/raft/messages.ts';
import type { RaftStatus } from '../../src/raft/raft.ts';
import type { MemberId } from '../../src/types.ts';

export function describeMessage(message: Message): string {
  const head = `${message.from}->${message.to} ${message.type}`;
  return 'term' in message
    ? `${head} term ${message.term}${describeBody(message)}`
    : `${head}${describeBody(message)}`;
}

function describeBody(message: Message): string {
  switch (message.type) {
    case 'app': {
      const entries = describeEntries(message.entries);
      return ` after ${message.index}/${message.logTerm} commit ${message.commit}${entries}`;
    }
    case 'app-resp':
      if (!message.reject) return ` up to ${message.index}`;
      return ` rejects ${message.index}, try ${message.rejectHint}/${message.logTerm}`;
    case 'vote':
    case 'pre-vote': {
      const context = describeContext(message.context);
      return ` log ends ${message.index}/${message.logTerm}${context}`;
    }
    case 'vote-resp':
    case 'pre-vote-resp':
      return message.reject ? ' no' : ' yes';
    case 'snap': {
      const { index, term, confState } = message.snapshot.metadata;
      return ` at ${index}/${term} ${describeConfig(confState)}`;
    }
    case 'heartbeat':
      return ` commit ${message.commit}${describeContext(message.context)}`;
    case 'heartbeat-resp':
      return describeContext(message.context);
    case 'prop':
      return describeEntries(message.entries);
    case 'read-index':
      return describeContext(message.context);
    case 'read-index-resp':
      return ` index ${message.index}${describeContext(message.context)}`;
    case 'timeout-now':
    case 'transfer-leader':
      return '';
  }
}

function describeEntries(entries: readonly Entry[]): string {
  if (entries.length === 0) return '';
  const texts = entries.map((entry) => {
    const text = entry.type === 'normal' ? `"${Buffer.from(entry.data).toString()}"` : entry.type;
    return entry.index === 0 ? text : `${entry.index}/${entry.term} ${text}`;
  });
  return ` [${texts.join(', ')}]`;
}

/** A round of reads is 8 bytes that begin with its number; everything else is text. */
function describeContext(context: Uint8Array): string {
  if (context.length === 0) return '';
  if (context.length === 8 && context[7] === 0) return ` round ${context[0] ?? 0}`;
  return ` (${Buffer.from(context).toString()})`;
}

export function describeConfig(config: ConfState): string {
  let text = `voters ${list(config.voters)}`;
  if (config.votersOutgoing.length > 0) text += ` and ${list(config.votersOutgoing)}`;
  if (config.learners.length > 0) text += ` learners ${list(config.learners)}`;
  if (config.learnersNext.length > 0) text += ` next learners ${list(config.learnersNext)}`;
  return config.autoLeave ? `${text} (auto-leave)` : text;
}

function list(ids: readonly MemberId[]): string {
  return `(${ids.join(' ')})`;
}

export function describeStatus(status: RaftStatus): readonly string[] {
  const { id, state, term, lead, first, last, commit, applied, durable } = status;
  const lines = [
    `${id} ${state} term ${term} lead ${lead ?? '-'} log ${first}..${last} ` +
      `commit ${commit} applied ${applied} durable ${durable}`,
  ];
  if (status.transferee !== null) lines.push(`  hands over to ${status.transferee}`);
  if (status.readsPending > 0) lines.push(`  reads waiting ${status.readsPending}`);
  for (const progress of status.progress) {
    let line = `  ${progress.id} ${progress.state} match ${progress.match} next ${progress.next}`;
    if (progress.learner) line += ' learner';
    if (progress.paused) line += ' paused';
    if (progress.inflight > 0) line += ` inflight ${progress.inflight}`;
    if (progress.pendingSnapshot > 0) line += ` snapshot ${progress.pendingSnapshot}`;
    if (!progress.recentActive) line += ' inactive';
    lines.push(line);
  }
  return lines;
}
