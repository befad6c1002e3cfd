// The pipeline without threads: the same work on the same thread, so that nothing but the scheduler decides an order.
import type { PipelineReply, PipelineRequest } from '../../src/engine/pipeline/messages.ts';
import { RequestHandler } from '../../src/engine/pipeline/request-handler.ts';
import type { Pipeline, PipelineThread } from '../../src/engine/pipeline/worker-pool.ts';
import type { BlockDevice } from '../../src/volumes/block-device.ts';
import type { DeviceDescriptor } from '../../src/volumes/volume.ts';

class InlineThread implements PipelineThread {
  readonly #handler: RequestHandler;
  loadCount = 0;

  constructor(openDevice: (descriptor: DeviceDescriptor) => BlockDevice) {
    this.#handler = new RequestHandler({ openDevice });
  }

  async call<Request extends PipelineRequest>(request: Request): Promise<PipelineReply<Request>> {
    const [reply] = this.#handler.handle(request);
    // The handler answers each request by its type.
    return reply as PipelineReply<Request>;
  }
}

export class InlinePipeline implements Pipeline {
  readonly threads: readonly PipelineThread[];
  #lastId = 0;

  constructor(openDevice: (descriptor: DeviceDescriptor) => BlockDevice) {
    this.threads = [new InlineThread(openDevice)];
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}
