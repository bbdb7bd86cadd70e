import type { FastifyInstance } from 'fastify'
import type { Peers } from './sealed/ended-among-workers.js'

/** The part of `@fastkeep/engine` that is used where there is one. */
interface Engine {
  subscribe (channel: 'graceful', listener: () => void, options: { priority: number, name: string }): unknown
  /** In a worker of a supervisor: the other workers. */
  readonly peers?: Peers | undefined
}

export function engineOf (fastify: FastifyInstance): Engine | undefined {
  return fastify.hasDecorator('engine') ? fastify.getDecorator<Engine>('engine') : undefined
}
