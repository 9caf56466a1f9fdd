import { driverOver, udp } from '../transports.ts';

/** The driver "modbus-udp". */
const driver = driverOver(udp);

export default driver;
