import { func, nested, type Rule } from '@fastkeep/options'
import type { FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault } from 'fastify'
import type { GuardedWebSocket } from './socket.js'

/** One message that clients of a route may send. */
export interface MessageDefinition<Data = unknown, Schema = unknown> {
  /** What `data` must be: a schema for the validator of the Fastify instance. Default: anything. */
  schema?: Schema
  /**
   * Gets `data` as the validator left it. What it returns, or its promise resolves to, answers a message with an `id`.
   * An error with a `statusCode` from 400 to 499 is answered with its code and message, any other is logged.
   *
   * `data` has the type that the type provider of the instance makes of `schema`; where it knows none, write it down.
   */
  handler (data: Data, socket: GuardedWebSocket, request: FastifyRequest): unknown
  /** What the answer is: a schema for the serializer of the Fastify instance, which leaves out what is not in it. */
  reply?: unknown
}

/** What the type provider makes of a schema; `unknown` where there is none. */
export type CallTypeProvider<TypeProvider extends FastifyTypeProvider, Schema> = (TypeProvider & { schema: Schema })['validator']

/** Messages by name, each with the data of its own schema. */
export type MessageDefinitions<TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault, Schemas = Record<string, unknown>> = {
  readonly [Name in keyof Schemas]: MessageDefinition<CallTypeProvider<TypeProvider, Schemas[Name]>, Schemas[Name]>
}

/** `join`, `chat.send`, `a.b-c_d`; names that begin with `keep.` are the protocol's own. */
const NAME = /^(?!keep\.)[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)*$/

const schema: Rule = { expected: 'a schema', accepts: value => typeof value === 'object' || typeof value === 'boolean' }
const definition = nested({ schema, handler: func, reply: schema })

/** The rules of a route's `messages`: one for each name that is given. */
export function messagesRule (messages: unknown): Rule {
  const names = Object.keys(Object(messages) as object)
  const rules = Object.fromEntries(names.map(name => [name, NAME.test(name) ? { ...definition, expected: 'an object with a "handler"', accepts: isDefinition } : badName(name)]))
  return { expected: 'an object of messages by name', accepts: nested(rules).accepts, rules }
}

function isDefinition (value: unknown): boolean {
  return definition.accepts(value) && func.accepts((value as { handler?: unknown }).handler)
}

function badName (name: string): Rule {
  const expected = name.startsWith('keep.') ? 'named otherwise: "keep." is the protocol\'s own' : 'named with words of letters, digits, "_" and "-", joined by dots'
  return { expected, accepts: () => false }
}
