// Carries out requests of the pipeline one after the other: on a pipeline thread, or wherever volume data is to be
// handled without one. It holds open disks and scanned segments.
import { discardBuffer } from '../../core/bytes.ts';
import type { BlockDevice } from '../../volumes/block-device.ts';
import type { DeviceDescriptor } from '../../volumes/volume.ts';
import { checkFrames, findFrames, matchChunks } from './check-work.ts';
import type { PipelineReply, PipelineRequest } from './messages.ts';
import { resealFrames } from './reseal-work.ts';
import { allocateSegment, collectUnsealed, scanSegment, sealFrames, writeUnsealed } from './segment-work.ts';

/** Buffers kept for reuse: the pipeline keeps about this many segments under way per thread. */
const FREE_BUFFER_MAX = 4;

export class RequestHandler {
  readonly #openDevice: (descriptor: DeviceDescriptor, mode: 'read' | 'write') => BlockDevice;
  readonly #devices = new Map<number, BlockDevice>();
  readonly #segments = new Map<number, Buffer>();
  readonly #freeBuffers: Buffer[] = [];

  constructor(deps: { readonly openDevice: (descriptor: DeviceDescriptor, mode: 'read' | 'write') => BlockDevice }) {
    this.#openDevice = deps.openDevice;
  }

  /** Carries out one request. The second value is the memory that may be handed over with the reply. */
  handle(request: PipelineRequest): [PipelineReply<PipelineRequest>, ArrayBuffer[]] {
    switch (request.type) {
      case 'open-device':
        this.#devices.set(request.deviceId, this.#openDevice(request.descriptor, request.mode));
        return [undefined, []];
      case 'close-device':
        this.#devices.get(request.deviceId)?.close();
        this.#devices.delete(request.deviceId);
        return [undefined, []];
      case 'scan': {
        const buffer = this.#freeBuffers.pop() ?? allocateSegment();
        this.#segments.set(request.segmentId, buffer);
        const scanned = scanSegment(this.#deviceOf(request.deviceId), buffer, request);
        return [scanned, [scanned.digests.buffer as ArrayBuffer, scanned.isZero.buffer as ArrayBuffer]];
      }
      case 'seal': {
        const sealed = sealFrames(this.#segmentOf(request.segmentId), request);
        return [sealed, [sealed.bytes.buffer as ArrayBuffer]];
      }
      case 'release':
        this.#release(request.segmentId);
        return [undefined, []];
      case 'unseal': {
        if (request.deviceId === undefined) {
          const chunks = collectUnsealed(request);
          discardBuffer(request.bytes);
          return [{ chunks }, [chunks.buffer as ArrayBuffer]];
        }
        writeUnsealed(this.#deviceOf(request.deviceId), request);
        discardBuffer(request.bytes);
        return [{ chunks: undefined }, []];
      }
      case 'reseal': {
        const resealed = resealFrames(request);
        discardBuffer(request.bytes);
        return [resealed, [resealed.bytes.buffer as ArrayBuffer]];
      }
      case 'check': {
        const checked = checkFrames(request);
        discardBuffer(request.bytes);
        return [checked, []];
      }
      case 'match':
        return [matchChunks(this.#deviceOf(request.deviceId), request), []];
      case 'find-frames': {
        const found = findFrames(request);
        discardBuffer(request.bytes);
        return [found, []];
      }
      case 'zero': {
        const device = this.#deviceOf(request.deviceId);
        for (let i = 0; i < request.ranges.length; i += 2) {
          device.zeroSync(request.ranges[i] ?? 0, request.ranges[i + 1] ?? 0);
        }
        return [undefined, []];
      }
    }
  }

  #deviceOf(deviceId: number): BlockDevice {
    const device = this.#devices.get(deviceId);
    if (!device) throw new Error(`device ${deviceId} is not open here`);
    return device;
  }

  #segmentOf(segmentId: number): Buffer {
    const buffer = this.#segments.get(segmentId);
    if (!buffer) throw new Error(`segment ${segmentId} was not scanned here`);
    return buffer;
  }

  #release(segmentId: number): void {
    const buffer = this.#segments.get(segmentId);
    this.#segments.delete(segmentId);
    if (buffer && this.#freeBuffers.length < FREE_BUFFER_MAX) this.#freeBuffers.push(buffer);
  }
}
