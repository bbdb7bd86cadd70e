import { once } from 'node:events'
import http from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import { type Test } from 'tap'
import engine, { type EnginePluginOptions } from '@fastkeep/engine'

export const DRAIN = { idleWindow: 100, deadline: 5_000 }

/** An app with an engine that drains quickly. */
export async function appWith (t: Test, options: EnginePluginOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(engine, { signals: false, drain: DRAIN, ...options })
  app.get('/', async () => 'hello')
  t.teardown(() => app.close().catch(() => {}))
  return app
}

/** A request over a connection of its own choice; resolves with what came back. */
export async function get (url: string, agent: http.Agent): Promise<{ status: number, connection: string | undefined, body: string }> {
  const request = http.get(url, { agent })
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode ?? 0, connection: response.headers.connection, body }
}

export function portOf (app: FastifyInstance): number {
  return Number(new URL(app.engine.server.urls[0] as string).port)
}
