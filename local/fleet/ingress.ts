import type { IncomingMessage } from 'node:http';
import type { Proxy } from './proxy.ts';

/**
 * One door for many targets: gives a request to the target that has the domain of its Host field (without port,
 * whatever the letter case). An unknown host is answered 421 (RFC 9110, 15.5.20).
 */
export function ingress(find: (domain: string) => Proxy | undefined): Proxy {
  return {
    request: (req, res) => {
      const target = find(domainOf(req));
      if (target) return target.request(req, res);
      res.writeHead(421, { 'content-type': 'text/plain; charset=utf-8' });
      res.end('No target has this host name.\n');
    },
    upgrade: (req, socket, head) => {
      const target = find(domainOf(req));
      if (target) return target.upgrade(req, socket, head);
      socket.on('error', () => socket.destroy());
      socket.end('HTTP/1.1 421 Misdirected Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    },
  };
}

function domainOf(req: IncomingMessage): string {
  return (req.headers.host ?? '').replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
