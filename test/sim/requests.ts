/** The model's requests in the product's terms, carried out by a replica as the services do it. */

import { must } from '../../src/assert.ts';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type RangeRequest,
  type RequestOp,
  type ResponseOp,
  SortOrder,
  SortTarget,
} from '../../src/codec/gen/etcdserverpb.ts';
import { decodeKeyValue, type EncodedKeyValue } from '../../src/codec/key-value.ts';
import { EtcdError } from '../../src/errors.ts';
import { readOptions } from '../../src/mvcc/range.ts';
import type { Replica } from '../../src/replica/replica.ts';
import { EMPTY_KEY, keyFromText, type LeaseId } from '../../src/types.ts';
import { putRequest } from '../support/lone-replica.ts';
import type { Answer, KeyValue, Compare as ModelCompare, Request, Step } from '../support/model.ts';

export interface Answered {
  readonly revision: number;
  readonly answer: Answer;
}

export async function carryOut(
  replica: Replica,
  request: Request,
  serializable: boolean,
): Promise<Answered> {
  switch (request.kind) {
    case 'put': {
      const { key, value, lease = 0n } = request;
      const { revision } = await replica.propose('put', putRequest(key, value, lease as LeaseId));
      return { revision, answer: {} };
    }
    case 'delete': {
      const { revision, deleted } = await replica.propose('deleteRange', deleteOf(request));
      return { revision, answer: { deleted } };
    }
    case 'get':
      if (!serializable) await replica.readBarrier();
      return read(replica, request);
    case 'txn': {
      const { revision, succeeded, responses } = await replica.propose('txn', {
        compare: request.compares.map(compareOf),
        success: request.success.map(opOf),
        failure: request.failure.map(opOf),
      });
      return { revision, answer: { succeeded, steps: responses.map(answerOf) } };
    }
  }
}

function read(replica: Replica, { key, rangeEnd }: Extract<Step, { kind: 'get' }>): Answered {
  const { store } = replica.stateMachine;
  const end = rangeEnd === undefined ? EMPTY_KEY : keyFromText(rangeEnd);
  const found = store.range(readOptions(keyFromText(key), end));
  if (found instanceof EtcdError) throw found;
  return { revision: found.revision, answer: { kvs: found.kvs.map(pairOf) } };
}

function deleteOf({ key, rangeEnd }: Extract<Step, { kind: 'delete' }>) {
  const end = rangeEnd === undefined ? EMPTY_KEY : keyFromText(rangeEnd);
  return { key: keyFromText(key), rangeEnd: end, prevKv: false };
}

function rangeOf({ key, rangeEnd }: Extract<Step, { kind: 'get' }>): RangeRequest {
  return {
    key: keyFromText(key),
    rangeEnd: rangeEnd === undefined ? EMPTY_KEY : keyFromText(rangeEnd),
    limit: 0,
    revision: 0,
    sortOrder: SortOrder.NONE,
    sortTarget: SortTarget.KEY,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

function opOf(step: Step): RequestOp {
  switch (step.kind) {
    case 'get':
      return { request: { case: 'requestRange', value: rangeOf(step) } };
    case 'delete':
      return { request: { case: 'requestDeleteRange', value: deleteOf(step) } };
    case 'put': {
      const { key, value, lease = 0n } = step;
      return {
        request: { case: 'requestPut', value: putRequest(key, value, lease as LeaseId) },
      };
    }
  }
}

const RESULTS = {
  '=': CompareResult.EQUAL,
  '!=': CompareResult.NOT_EQUAL,
  '<': CompareResult.LESS,
  '>': CompareResult.GREATER,
};

function compareOf({ key, target, result, operand }: ModelCompare): Compare {
  const base = { result: RESULTS[result], key: keyFromText(key), rangeEnd: EMPTY_KEY };
  switch (target) {
    case 'value':
      return {
        ...base,
        target: CompareTarget.VALUE,
        targetUnion: { case: target, value: Buffer.from(String(operand)) },
      };
    case 'version':
      return {
        ...base,
        target: CompareTarget.VERSION,
        targetUnion: { case: target, value: Number(operand) },
      };
    case 'createRevision':
      return {
        ...base,
        target: CompareTarget.CREATE,
        targetUnion: { case: target, value: Number(operand) },
      };
    case 'modRevision':
      return {
        ...base,
        target: CompareTarget.MOD,
        targetUnion: { case: target, value: Number(operand) },
      };
  }
}

function answerOf({ response }: ResponseOp): Answer {
  switch (must(response, 'an answer for each step').case) {
    case 'responseRange': {
      const range = response as Extract<typeof response, { case: 'responseRange' }>;
      return { kvs: range.value.kvs.map(pairOf) };
    }
    case 'responseDeleteRange': {
      const gone = response as Extract<typeof response, { case: 'responseDeleteRange' }>;
      return { deleted: gone.value.deleted };
    }
    default:
      return {};
  }
}

function pairOf(kv: EncodedKeyValue): KeyValue {
  const { key, value, modRevision } = decodeKeyValue(kv);
  return { key, value: Buffer.from(value).toString(), modRevision };
}
