import type { Rule } from '@fastkeep/options'
import type { FastifyRequest } from 'fastify'
import type { GuardedWebSocket } from './socket.js'

/** One message that clients of a route may send. */
export interface MessageDefinition<Data = unknown> {
  /** What `data` must be: a schema for the validator of the Fastify instance. Default: anything. */
  schema?: unknown
  /**
   * Gets `data` as the validator left it. What it returns, or its promise resolves to, answers a message with an `id`.
   * An error with a `statusCode` from 400 to 499 is answered with its code and message, any other is logged.
   */
  handler: (data: Data, socket: GuardedWebSocket, request: FastifyRequest) => unknown
  /** What the answer is: a schema for the serializer of the Fastify instance, which leaves out what is not in it. */
  reply?: unknown
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each has data of its own type
export type MessageDefinitions = Readonly<Record<string, MessageDefinition<any>>>

/** `chat.send`, `join`, `a.b-c_d`; names that begin with `keep.` are the protocol's own. */
const NAME = /^(?!keep\.)[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)*$/
