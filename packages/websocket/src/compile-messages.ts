import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MessageRefused, MessageSchemaInvalid } from './errors.js'
import type { InnerSocket } from './guarded-socket.js'
import type { MessageDefinitions } from './message-definition.js'
import { requestTopic } from './topic-access.js'

/** A message of a route, its schemas compiled. */
export interface CompiledMessage {
  /** The data as its handler gets it, or a promise of it. @throws MessageRefused */
  validate (data: unknown): unknown
  /** @param isTooLate whether the client has been told that it was not done in time */
  handle (data: unknown, socket: InnerSocket, request: FastifyRequest, isTooLate: () => boolean): unknown
  /** The JSON text of what the handler returned; `undefined` for nothing. */
  serialize (reply: unknown): string | undefined
}

/** By type. A Map: nothing but what was registered can be found in it. */
export type CompiledMessages = ReadonlyMap<string, CompiledMessage>

/**
 * Compiles the messages of a route with the validator and the serializer of its instance.
 *
 * @throws FST_KEEP_WEBSOCKET_MESSAGE_SCHEMA_INVALID
 */
export function compileMessages (instance: FastifyInstance, { method, url }: { method: string, url: string }, definitions: MessageDefinitions): CompiledMessages {
  function compiled<Schema, Compiled> (type: string, schema: Schema | undefined, compile: (schema: Schema) => Compiled): Compiled | undefined {
    try {
      return schema === undefined ? undefined : compile(schema)
    } catch (cause) {
      throw Object.assign(new MessageSchemaInvalid(`${method} ${url}`, type, (cause as Error).message), { cause, exitCode: 78 })
    }
  }

  return new Map(Object.entries(definitions).map(([type, { schema, reply, handler }]) => {
    const validator = compiled(type, schema, schema => instance.validatorCompiler?.({ schema, method, url, httpPart: 'body' }))
    const serializer = compiled(type, reply, schema => instance.serializerCompiler?.({ schema, method, url, httpStatus: '200' }))
    return [type, {
      validate: validator === undefined ? data => data : data => checkedBy(validator as Validator, data),
      handle: (data, socket, request) => handler.call(instance, data, socket, request),
      serialize: reply => reply === undefined ? undefined : serializer === undefined ? JSON.stringify(reply) : serializer(reply),
    } satisfies CompiledMessage]
  }))
}

/** What a validator compiler of Fastify makes: of Ajv, or of another kind that gives the value back. */
interface Validator {
  (data: unknown): unknown
  errors?: ReadonlyArray<{ instancePath?: string, message?: string }> | null
}

function checkedBy (validator: Validator, data: unknown): unknown {
  const result = validator(data)
  return result instanceof Promise ? result.then(settled => outcome(settled)) : outcome(result)

  function outcome (result: unknown): unknown {
    if (result === false) throw new MessageRefused(sentence(validator.errors ?? []))
    const { error, value } = Object(result) as { error?: Error, value?: unknown }
    if (error !== undefined && error !== null) throw new MessageRefused(error.message)
    return value === undefined ? data : value
  }
}

/** `data/text must be string`, as Fastify says it of a body. */
function sentence (errors: ReadonlyArray<{ instancePath?: string, message?: string }>): string {
  return errors.map(({ instancePath = '', message = 'is invalid' }) => `data${instancePath} ${message}`).join(', ') || 'data is invalid'
}

/** The messages of the protocol that each route with envelopes takes. */
export const OWN_MESSAGES: CompiledMessages = new Map([['keep.ping', { validate: data => data, handle: () => undefined, serialize: () => undefined }]])

/** The messages by which clients of a route with `topics` subscribe. */
export const TOPIC_MESSAGES: CompiledMessages = new Map<string, CompiledMessage>([
  ['keep.subscribe', {
    validate: topicData,
    handle: async (data, socket, _request, isTooLate) => {
      await requestTopic(socket, (data as TopicData).topic, isTooLate)
      return data
    },
    serialize: JSON.stringify,
  }],
  ['keep.unsubscribe', {
    validate: topicData,
    handle: (data, socket) => {
      socket.unsubscribe((data as TopicData).topic)
      return data
    },
    serialize: JSON.stringify,
  }],
])

interface TopicData { topic: string }

function topicData (data: unknown): TopicData {
  const { topic } = Object(data) as { topic?: unknown }
  if (typeof topic !== 'string') throw new MessageRefused('data/topic must be string')
  return { topic }
}
