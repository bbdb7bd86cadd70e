import { isIP } from 'node:net'

/** Where a request that came without TLS should have gone, or `undefined` where that is nobody's to say. */
export type RedirectTarget = (host: string | undefined, target: string) => string | undefined

export const httpsOrigin = /^https:\/\/([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?$/i

/**
 * To a configured origin, else to the host that was asked for where `isOurs` says that it is one of ours: a server that
 * sends visitors to whatever name the client made up is an open redirect.
 */
export function redirectTarget ({ origin, isOurs, port }: { readonly origin: string | undefined, isOurs (host: string): boolean, port (): number | undefined }): RedirectTarget {
  return (host, target) => {
    const path = /^\/[\x21-\x7e]*$/.test(target) ? target : '/'
    if (origin !== undefined) return origin + path
    const name = host === undefined ? undefined : hostnameOf(host)
    if (name === undefined || !isOurs(name)) return undefined
    const at = port() ?? 443
    return `https://${isIP(name) === 6 ? `[${name}]` : name}${at === 443 ? '' : `:${at}`}${path}`
  }
}

/** @example hostnameOf('Example.org:8080') // 'example.org' */
export function hostnameOf (authority: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::\d*)?$/i.exec(authority)
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '')
}
