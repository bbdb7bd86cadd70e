/**
 * The one subprotocol that is echoed (RFC 6455, 4.2.2): the first of the route's that the client offers; on a route
 * that names none, the first that it offers, as ws does.
 */
export function chooseProtocol (offered: ReadonlySet<string>, spoken: readonly string[] = []): string | false {
  const [first] = offered
  const chosen = spoken.length === 0 ? first : spoken.find(protocol => offered.has(protocol))
  return chosen ?? false
}
