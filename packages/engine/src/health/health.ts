import type { FastifyInstance, FastifyReply } from 'fastify'
import { func, integer, oneOf, optionChecker, type Rule } from '@fastkeep/options'
import { RegistrationRefused } from '../errors.js'
import type { State } from '../bus/states.js'
import { ReadinessChecks, type CheckOutcome, type ReadinessCheck } from './readiness-checks.js'

export interface HealthOptions {
  /** Path of the liveness probe; `false`: none. Default `/health/live`. */
  live?: string | false
  /** Path of the readiness probe; `false`: none. Default `/health/ready`. */
  ready?: string | false
  /** What else must hold for the process to be ready, by name; the names stand in the answer. Default: nothing. */
  checks?: Readonly<Record<string, ReadinessCheck>>
  /** ms within which each of them must have answered. Default 500: Kubernetes gives a probe 1 s. */
  checkTimeout?: number
  /** From which level on Fastify logs the probes. Default `warn`: not each of them. */
  logLevel?: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Which probe a route of `health` is, so that hooks that run for every route can pass it over. */
    health?: 'live' | 'ready'
  }
}

/** s after which a client that is told 503 may ask again. */
const RETRY_AFTER = 5

export const DEFAULT_CHECK_TIMEOUT = 500

const route: Rule = {
  expected: 'a path that begins with "/", or false',
  accepts: value => value === false || (typeof value === 'string' && value.startsWith('/')),
}

const RULES: Record<string, Rule> = {
  live: route,
  ready: route,
  checks: {
    expected: 'an object of functions by their names',
    accepts: value => typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(check => func.accepts(check)),
  },
  checkTimeout: integer(1, 60_000, 'ms'),
  logLevel: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  // Fastify's own.
  prefix: { expected: 'a string', accepts: value => typeof value === 'string' },
}

const checkOptions = optionChecker('engine')

const NOT_READY: Readonly<Record<State, string>> = {
  STOPPED: 'stopped',
  STARTING: 'starting',
  STARTED: 'failing',
  STOPPING: 'stopping',
  EXITING: 'stopping',
  EXITED: 'stopped',
}

/**
 * Two routes for whoever has to know how the process is. Live: 200 as long as the event loop answers. Ready: 200
 * `{ status: 'ready' }` while the bus is STARTED and every check holds, else 503 with the same shape and `Retry-After`;
 * it turns before the drain closes anything. After a successor has taken over it stays 200: what is asked for at this
 * address is ready.
 *
 * The routes live in a scope of their own; hooks of the scope that it is registered in run for them too.
 *
 * @throws `FST_KEEP_ENGINE_REGISTRATION_REFUSED`, `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`
 * @example
 * await app.register(engine, { port: 8080, drain: { delay: 5_000 } })
 * await app.register(health, { checks: { database: signal => database.ping({ signal }) } })
 */
export async function health (app: FastifyInstance, options: HealthOptions = {}): Promise<void> {
  checkOptions(options, RULES)
  if (!app.hasDecorator('engine')) throw new RegistrationRefused('health: register the engine first: readiness is the state of its bus')
  const { live = '/health/live', ready = '/health/ready', checks = {}, checkTimeout = DEFAULT_CHECK_TIMEOUT, logLevel = 'warn' } = options
  if (live !== false && live === ready) throw new RegistrationRefused(`health: the options "live" and "ready" are the same path, ${live}`)
  const { engine } = app

  if (live !== false) {
    app.get(live, { logLevel, config: { health: 'live' } }, async (_request, reply) => answer(reply, true, 'live'))
  }
  if (ready !== false) {
    const readiness = new ReadinessChecks(engine, checks, checkTimeout)
    app.get(ready, { logLevel, config: { health: 'ready' } }, async (_request, reply) => {
      if (!engine.isReady) return answer(reply, false, NOT_READY[engine.state])
      const { hold, outcomes } = await readiness.run()
      // The stop may have begun while they ran.
      const isReady = hold && engine.isReady
      return answer(reply, isReady, isReady ? 'ready' : NOT_READY[engine.state], outcomes)
    })
  }
}

interface Health {
  status: string
  checks?: Readonly<Record<string, CheckOutcome>>
}

function answer (reply: FastifyReply, isWell: boolean, status: string, checks?: Health['checks']): Health {
  reply.header('cache-control', 'no-store')
  if (!isWell) reply.code(503).header('retry-after', RETRY_AFTER)
  return checks === undefined ? { status } : { status, checks }
}
