// Entry of a pipeline thread: takes requests in order and answers each. It holds open disks and scanned segments.
import { parentPort } from 'node:worker_threads';
import { discardBuffer } from '../../core/bytes.ts';
import { VbsError } from '../../core/errors.ts';
import { type BlockDevice, openBlockDevice } from '../../volumes/block-device.ts';
import type { PipelineReply, PipelineRequest, ReplyEnvelope, RequestEnvelope, WireFailure } from './messages.ts';
import { allocateSegment, collectUnsealed, scanSegment, sealFrames, writeUnsealed } from './segment-work.ts';

const devices = new Map<number, BlockDevice>();
const segments = new Map<number, Buffer>();
const freeBuffers: Buffer[] = [];
/** Buffers kept for reuse: the pipeline keeps about this many segments under way per thread. */
const FREE_BUFFER_MAX = 4;

function deviceOf(deviceId: number): BlockDevice {
  const device = devices.get(deviceId);
  if (!device) throw new Error(`device ${deviceId} is not open in this thread`);
  return device;
}

function segmentOf(segmentId: number): Buffer {
  const buffer = segments.get(segmentId);
  if (!buffer) throw new Error(`segment ${segmentId} was not scanned by this thread`);
  return buffer;
}

function release(segmentId: number): void {
  const buffer = segments.get(segmentId);
  segments.delete(segmentId);
  if (buffer && freeBuffers.length < FREE_BUFFER_MAX) freeBuffers.push(buffer);
}

/** Carries out one request. The second value is the memory to hand over with the reply. */
function handle(request: PipelineRequest): [PipelineReply<PipelineRequest>, ArrayBuffer[]] {
  switch (request.type) {
    case 'open-device':
      devices.set(request.deviceId, openBlockDevice(request.descriptor, request.mode));
      return [undefined, []];
    case 'close-device':
      devices.get(request.deviceId)?.close();
      devices.delete(request.deviceId);
      return [undefined, []];
    case 'scan': {
      const buffer = freeBuffers.pop() ?? allocateSegment();
      segments.set(request.segmentId, buffer);
      const scanned = scanSegment(deviceOf(request.deviceId), buffer, request);
      return [scanned, [scanned.digests.buffer as ArrayBuffer, scanned.isZero.buffer as ArrayBuffer]];
    }
    case 'seal': {
      const sealed = sealFrames(segmentOf(request.segmentId), request);
      return [sealed, [sealed.bytes.buffer as ArrayBuffer]];
    }
    case 'release':
      release(request.segmentId);
      return [undefined, []];
    case 'unseal': {
      if (request.deviceId === undefined) {
        const chunks = collectUnsealed(request);
        discardBuffer(request.bytes);
        return [{ chunks }, [chunks.buffer as ArrayBuffer]];
      }
      writeUnsealed(deviceOf(request.deviceId), request);
      discardBuffer(request.bytes);
      return [{ chunks: undefined }, []];
    }
    case 'zero': {
      const device = deviceOf(request.deviceId);
      for (let i = 0; i < request.ranges.length; i += 2) {
        device.zeroSync(request.ranges[i] ?? 0, request.ranges[i + 1] ?? 0);
      }
      return [undefined, []];
    }
  }
}

function describeFailure(error: unknown): WireFailure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof VbsError) return { code: error.code, details: { ...error.details }, message, stack };
  return { code: undefined, details: {}, message, stack };
}

const port = parentPort;
if (!port) throw new Error('thread.ts runs only as a worker thread');
port.on('message', ({ callId, request }: RequestEnvelope) => {
  try {
    const [reply, transfer] = handle(request);
    port.postMessage({ callId, reply } satisfies ReplyEnvelope, transfer);
  } catch (error) {
    port.postMessage({ callId, failure: describeFailure(error) } satisfies ReplyEnvelope);
  }
});
