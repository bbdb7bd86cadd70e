import { MessageInvalid } from './errors.js'
import { Frame } from './frame.js'

/** What is published to a topic, as it travels from process to process. */
export interface Publication {
  readonly topic: string
  /** `text` and `binary` are sent as they are; `json` is the JSON text of any other value. */
  readonly kind: 'text' | 'json' | 'binary'
  readonly payload: string | Uint8Array
  /** What it is the latest of, under `keep-latest`; by default the topic. */
  readonly key?: string | undefined
}

/** Throws FST_KEEP_WEBSOCKET_MESSAGE_INVALID for what JSON cannot carry. */
export function publicationOf (topic: string, message: unknown, key?: string): Publication {
  if (typeof message === 'string') return { topic, kind: 'text', payload: message, key }
  if (message instanceof Uint8Array) return { topic, kind: 'binary', payload: message, key }
  if (message instanceof ArrayBuffer || ArrayBuffer.isView(message)) throw new MessageInvalid(`${message.constructor.name}, of which JSON keeps nothing`)
  return { topic, kind: 'json', payload: jsonOf(message), key }
}

function jsonOf (message: unknown): string {
  let json: string | undefined
  try {
    json = JSON.stringify(message)
  } catch (error) {
    throw new MessageInvalid(error instanceof Error ? error.message : String(error))
  }
  if (json === undefined) throw new MessageInvalid(`a value of type ${typeof message}`)
  return json
}

/** A publication as the frames that sockets get, each made once, when the first one needs it. */
export class PublishedFrames {
  readonly #publication: Publication
  #plain: Frame | undefined
  #enveloped: Frame | undefined

  constructor (publication: Publication) {
    this.#publication = publication
  }

  /** For a socket without envelopes. */
  get plain (): Frame {
    this.#plain ??= new Frame(this.#publication.payload)
    return this.#plain
  }

  /** `keep.topic` of PROTOCOL.md; bytes have no envelope. */
  get enveloped (): Frame {
    const { topic, kind, payload } = this.#publication
    if (kind === 'binary') return this.plain
    this.#enveloped ??= new Frame(`{"type":"keep.topic","topic":${JSON.stringify(topic)},"data":${kind === 'json' ? payload as string : JSON.stringify(payload)}}`)
    return this.#enveloped
  }
}
