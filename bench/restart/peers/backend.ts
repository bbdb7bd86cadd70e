import { fileURLToPath } from 'node:url'
import { Program } from '../../engine/program.js'
import { freePort } from '../../free-port.js'
import type { Site } from '../service.js'

/** Fastify as most run it, on the ports of a site or on some of them. */
export async function plainService (site: Site, ports: Partial<Site['ports']>, program = 'plain-service'): Promise<Program> {
  const service = new Program([fileURLToPath(new URL(`../programs/${program}.js`, import.meta.url))], {
    KEEP_ALIVE_TIMEOUT: String(site.keepAliveTimeout),
    TLS_FILES: site.directory,
    PORTS: JSON.stringify(ports),
    WORKERS: String(site.workers),
  })
  await service.next(program === 'cluster' ? /supervising as \d+/ : /serving as \d+/)
  return service
}

/** What a proxy passes requests to. It stays while the proxy is reloaded, and keeps idle connections for longer. */
export async function backend (site: Site): Promise<{ port: number, program: Program }> {
  const port = await freePort()
  return { port, program: await plainService({ ...site, keepAliveTimeout: 72_000 }, { http: port }) }
}
