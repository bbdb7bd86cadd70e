import type { ListenOptions } from '@fastkeep/engine'

/** How addresses of `--listen` are written, for the error. */
export const LISTEN_FORMS = 'addresses like 8080, 0.0.0.0:80, [::]:443 or unix:/run/shop.sock, each perhaps with the name that an app takes it by before it: https=[::]:443'

const HIGHEST_PORT = 65_535

/**
 * One address of `--listen`.
 *
 * @returns `undefined` for what is none
 * @example parseListen('https=[::]:443') // { socketName: 'https', host: '::', port: 443 }
 */
export function parseListen (text: string): ListenOptions | undefined {
  const { name, address = '' } = /^(?:(?<name>[\w.-]+)=)?(?<address>.+)$/.exec(text)?.groups ?? {}
  const where = addressOf(address)
  return where === undefined ? undefined : { ...name === undefined ? {} : { socketName: name }, ...where }
}

function addressOf (text: string): ListenOptions | undefined {
  const { path } = /^unix:(?<path>.+)$/.exec(text)?.groups ?? {}
  if (path !== undefined) return { path }
  const { ipv6, host = ipv6, port } = /^(?:(?:\[(?<ipv6>[\da-f:.%\w]+)\]|(?<host>[^\s:[\]=/]+)):)?(?<port>0|[1-9]\d{0,4})$/i.exec(text)?.groups ?? {}
  if (port === undefined || Number(port) > HIGHEST_PORT) return undefined
  return { ...host === undefined ? {} : { host }, port: Number(port) }
}
