/** What never became a request: malformed, too slow, too long. Answered as a problem where the socket can still carry one. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { KeelsonError } from '../core/error.js';
import { formatProblem, PROBLEM_TYPE } from './problem.js';

/** Node's `clientError` event. The connection is closed: what follows on it can't be told apart from the damage. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = formatProblem(toProblemError(error));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nConnection: close\r\nCache-Control: no-store\r\n` +
      `Content-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function toProblemError(error: NodeJS.ErrnoException): KeelsonError {
  if (error.code === 'HPE_HEADER_OVERFLOW') return new KeelsonError('headers_too_large', 'the headers are too long');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new KeelsonError('request_timeout', 'the request did not arrive in time');
  }
  return new KeelsonError('malformed_request', 'this is not a request that HTTP/1.1 knows');
}
