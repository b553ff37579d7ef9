import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Problem } from './errors.ts';

export type HostAddress = { readonly address: string; readonly family: number };

/**
 * The addresses of a URL's host, every one of them on the public internet unless private ones are allowed. Connect to
 * these very addresses (`answering`): a name resolved again could lead elsewhere. Throws `Problem('invalid')`.
 */
export async function addressesOf(
  hostname: string,
  options: { readonly allowPrivateHosts: boolean },
): Promise<readonly HostAddress[]> {
  const host = hostname.replace(/^\[|\]$/g, '');
  const addresses = await lookup(host, { all: true }).catch((cause: unknown) => {
    throw new Problem('invalid', `the host ${hostname} is not known`, { cause });
  });
  if (!options.allowPrivateHosts && !addresses.every(({ address }) => isPublicAddress(address))) {
    throw new Problem('invalid', `the host ${hostname} is not on the public internet`);
  }
  return addresses;
}

/** Gives a connection the addresses that were checked, and no others. */
export function answering(addresses: readonly HostAddress[]): LookupFunction {
  return (_hostname, options, done) => {
    const [first] = addresses;
    if (options.all) done(null, [...addresses]);
    else done(null, first?.address ?? '', first?.family ?? 0);
  };
}

/**
 * Whether an IP address is anybody's on the internet: no loopback, private, link-local, carrier-grade NAT, multicast or
 * reserved one, nor a form of IPv6 that stands for an IPv4 address (mapped, NAT64, 6to4, Teredo).
 */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast') return false;
  // Of IPv6, only 2000::/3 is given out: https://www.iana.org/assignments/ipv6-address-space
  return address.kind() === 'ipv4' || address.match(ipaddr.parseCIDR('2000::/3'));
}
