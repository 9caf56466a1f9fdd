import { driverOver, rtu } from '../transports.ts';

/** The driver "modbus-rtu". */
const driver = driverOver(rtu);

export default driver;
