import type { Scenario } from '../service.js'
import { plainService } from './backend.js'

const VERSION = `Node ${process.version}`

/** Two workers, each new one before the old one is told to close. */
export const cluster: Scenario = {
  name: 'node:cluster, rolling',
  version: async () => VERSION,
  start: async site => {
    const primary = await plainService(site, site.ports, 'cluster')
    return {
      pid: primary.pid,
      act: async () => {
        primary.process.kill('SIGHUP')
        await primary.next(/reloaded/)
      },
      end: async () => { await primary.end() },
    }
  },
}

/** The simplest that works: close, and start again. */
export const stopAndStart: Scenario = {
  name: '`app.close()` and a new start',
  version: async () => VERSION,
  start: async site => {
    let service = await plainService(site, site.ports)
    return {
      act: async () => {
        await service.end()
        service = await plainService(site, site.ports)
      },
      end: async () => { await service.end('SIGKILL') },
    }
  },
}
