import { once } from 'node:events'
import net, { type AddressInfo, type Server } from 'node:net'
import type { Door } from './service.js'

const DOORS = ['http', 'https', 'h2'] as const

/** Three ports that nobody has at the moment. */
export async function freePorts (): Promise<Record<Door, number>> {
  const servers = await Promise.all(DOORS.map(() => listen(0)))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(close))
  return { http: ports[0] ?? 0, https: ports[1] ?? 0, h2: ports[2] ?? 0 }
}

/** Sockets that listen, to be passed to a process as systemd does; then this process must let them go. */
export async function openSockets (ports: Readonly<Record<Door, number>>): Promise<{ descriptors: number[], names: string, letGo: () => Promise<void> }> {
  const servers = await Promise.all(DOORS.map(door => listen(ports[door])))
  return {
    descriptors: servers.map(server => (server as Server & { _handle: { fd: number } })._handle.fd),
    names: DOORS.join(':'),
    letGo: async () => { await Promise.all(servers.map(close)) },
  }
}

async function listen (port: number): Promise<Server> {
  const server = net.createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function close (server: Server): Promise<void> {
  server.close()
  await once(server, 'close')
}
